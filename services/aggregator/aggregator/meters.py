"""What a meter may be, and which change of it would change its meaning. Pure."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from common.aggregates import AGGREGATIONS
from common.contracts.meters import Meter

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
DIMENSION: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
DIMENSIONS_MAX: Final = 8
PATH_PARTS_MAX: Final = 8
PATH_PART_CHARS_MAX: Final = 128
EVENT_TYPE_CHARS_MAX: Final = 256
UNIT_CHARS_MAX: Final = 32

MEANING: Final = ("event_type", "aggregation", "value", "group_by")
"""What decides how an event becomes usage. The unit is a label and may be corrected."""


class BadMeter(ValueError):
    """A definition that cannot be a meter. `field` is the field at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_slug(slug: str) -> None:
    """Raise `BadMeter` unless `slug` can name a meter."""
    if SLUG.fullmatch(slug) is None:
        raise BadMeter(
            "slug", "must be 1 to 63 of a-z, 0-9, '-' and '_', and begin with a letter or digit"
        )


def define(
    *,
    slug: str,
    event_type: str,
    aggregation: str,
    value: str | None,
    group_by: Mapping[str, str],
    unit: str,
) -> Meter:
    """The meter of a definition, without a revision; raises `BadMeter`.

    A count takes no value, so one that is given is refused rather than ignored. Dimensions are
    kept in the order of their names: equal definitions are equal meters.
    """
    check_slug(slug)
    _check_text("event_type", event_type, 1, EVENT_TYPE_CHARS_MAX)
    _check_text("unit", unit, 0, UNIT_CHARS_MAX)
    if aggregation not in AGGREGATIONS:
        raise BadMeter("aggregation", f"must be one of {', '.join(AGGREGATIONS)}")
    if aggregation == "count":
        if value is not None:
            raise BadMeter("value", "a count has no value")
    elif value is None:
        raise BadMeter("value", f"{aggregation} needs the path of its value inside `data`")
    else:
        check_path("value", value)
    if len(group_by) > DIMENSIONS_MAX:
        raise BadMeter("group_by", f"at most {DIMENSIONS_MAX} dimensions")
    for name, path in group_by.items():
        if DIMENSION.fullmatch(name) is None:
            raise BadMeter(
                "group_by", "a name is 1 to 32 of a-z, 0-9 and '_', and begins with a letter"
            )
        check_path(f"group_by.{name}", path)
    return Meter(
        slug=slug,
        event_type=event_type,
        aggregation=aggregation,
        value=value,
        group_by=dict(sorted(group_by.items())),
        unit=unit,
    )


def check_path(field: str, path: str) -> None:
    """Raise `BadMeter` unless `path` is a dotted path inside `data`."""
    parts = path.split(".")
    if len(parts) > PATH_PARTS_MAX:
        raise BadMeter(field, f"a path has at most {PATH_PARTS_MAX} parts")
    if any(not 0 < len(part) <= PATH_PART_CHARS_MAX or not part.isprintable() for part in parts):
        raise BadMeter(
            field, f"a path is parts of 1 to {PATH_PART_CHARS_MAX} characters with dots between"
        )
    if parts[0] in ("$", "data") and len(parts) > 1:
        raise BadMeter(field, f"paths begin inside `data`: leave {parts[0]!r} out")


def changed_meaning(known: Meter, wanted: Meter) -> list[str]:
    """The fields in which `wanted` would give the events of `known` another meaning."""
    return [name for name in MEANING if getattr(known, name) != getattr(wanted, name)]


def same(known: Meter, wanted: Meter) -> bool:
    """Whether two definitions are equal, whatever their revisions."""
    return msgspec.structs.replace(wanted, revision=known.revision) == known


def _check_text(field: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most:
        raise BadMeter(field, f"must have {least} to {most} characters")
    if not text.isprintable():
        raise BadMeter(field, "must not hold control characters")
