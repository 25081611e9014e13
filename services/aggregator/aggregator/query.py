"""A usage query, checked: what is asked, in the terms of windows and series."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from aggregator.cells import instant
from aggregator.errors import (
    INVALID_RANGE,
    INVALID_TIMEZONE,
    TOO_MANY_WINDOWS,
    UNKNOWN_DIMENSION,
)
from aggregator.store.usage import Selection
from aggregator.windows import WINDOWS_MAX, TooManyWindows, Window, bounds
from common.contracts.meters import Meter
from common.errors import INVALID_REQUEST, ApiError
from common.events import rfc3339
from common.events.rfc3339 import parse_time_ms
from common.periods import next_slot, slot_of
from common.time_zones import time_zones

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
FILTER: Final = "filter."
DECLARED: Final = {
    "parameters": [
        {
            "name": f"{FILTER}{{dimension}}",
            "in": "query",
            "required": False,
            "description": "Only usage with this value of the dimension.",
            "schema": {"type": "string"},
        }
    ]
}
"""Of a route that takes `filter.<dimension>=<value>`, for the API's description."""


def selection(
    meter: Meter,
    *,
    tenants: Sequence[str],
    group_by: str | None,
    parameters: Iterable[tuple[str, str]],
) -> Selection:
    """The series that are asked for. `parameters`: all of the query's, for the filters."""
    dimensions = [name for name in (group_by or "").split(",") if name]
    filters: dict[str, str] = {}
    for name, value in parameters:
        if name.startswith(FILTER):
            dimension = name.removeprefix(FILTER)
            if filters.setdefault(dimension, value) != value:
                raise ApiError(INVALID_REQUEST, f"{name[:80]} is given twice")
    for name in [*dimensions, *filters]:
        if name not in meter.group_by:
            raise ApiError(
                UNKNOWN_DIMENSION,
                f"meter {meter.slug} has no dimension {name[:80]!r}",
                dimensions=sorted(meter.group_by),
            )
    return Selection(
        meter=meter.slug,
        tenants=sorted(set(tenants)) or None,
        dimensions=list(dict.fromkeys(dimensions)),
        filters=filters,
    )


def edges(
    window: Window, start: str | None, end: str | None, timezone: str, now: datetime
) -> list[datetime]:
    """The edges of the windows asked for.

    Times within a slot of ten seconds mean its start, as everywhere in billing. Without `end` the
    query goes up to `now`, without `start` it begins with the month of `end`.
    """
    zone = zone_of(timezone)
    until = _time("to", end) if end is not None else next_slot(now)
    if start is not None:
        since = _time("from", start)
    else:
        local = until.astimezone(zone)
        since = slot_of(local.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    if not _FIRST <= since < until <= _LAST:
        raise ApiError(
            INVALID_RANGE,
            f"[{rfc3339.instant(since)}, {rfc3339.instant(until)}) is not a range of time",
        )
    try:
        return bounds(window, since, until, zone)
    except TooManyWindows:
        raise ApiError(
            TOO_MANY_WINDOWS, f"at most {WINDOWS_MAX} windows of a {window} in one query"
        ) from None


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone `name`."""
    if name not in time_zones():
        raise ApiError(INVALID_TIMEZONE, f"{name[:80]!r} is not an IANA time zone")
    return ZoneInfo(name)


def _time(field: str, text: str) -> datetime:
    try:
        return slot_of(instant(parse_time_ms(text)))
    except (ValueError, OverflowError) as error:
        raise ApiError(
            INVALID_REQUEST,
            f"{field}: {error}",
            errors=[{"path": f"query.{field}", "message": str(error)}],
        ) from None
