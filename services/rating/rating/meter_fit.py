"""Whether the meters that a plan names count what its models price. Pure.

A model that looks at more than a quantity needs a meter that keeps it: a matrix needs its
dimensions, and quantities that can be added up over groups; a percentage needs the sum of amounts;
a time_weighted needs levels.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from common.contracts.meters import Meter
from rating.parts.price import PlanPrice
from rating.plan import Plan, placed
from rating.prices.fields import FieldError
from rating.prices.matrix import Matrix
from rating.prices.percentage import Percentage
from rating.prices.time_weighted import TimeWeighted

CODE: Final = "unfit_meter"
UNKNOWN: Final = "unknown_meter"
ADDS_UP: Final = ("count", "sum")
"""Aggregations of which the parts add up to the whole."""
GAUGE: Final = "latest"
"""The aggregation of meters that report levels."""


def misfits(plan: Plan, meters: Mapping[str, Meter]) -> list[FieldError]:
    """What no price of the plan, in any currency, can be: each once. A meter that is not
    among `meters` is not looked at."""
    found: dict[tuple[str, str], FieldError] = {}
    for variant in (plan, *plan.others):
        for path, price in placed(variant):
            meter = meters.get(price.meter or "")
            for name, message in _misfits(price, meter) if meter is not None else ():
                error = FieldError(f"{path}.{name}", message, CODE)
                found.setdefault((error.path, error.message), error)
    return list(found.values())


def named_meters(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path, slug) of every meter that a body names, though it may be wrong elsewhere."""
    for path, price in _prices(body, ""):
        if isinstance(price.get("meter"), str) and price["meter"]:
            yield f"{path}.meter", price["meter"]


def meter_faults(
    body: Mapping[str, Any],
    plan: Plan,
    wrong: Sequence[FieldError],
    meters: Mapping[str, Meter],
    assumed: Collection[str] = (),
) -> list[FieldError]:
    """What is wrong with the meters of a plan, beside `wrong`, which was said of its fields.
    `assumed`: meters that need not be among `meters`."""
    said = {error.path for error in wrong}
    found = [
        FieldError(path, f"there is no meter {slug}", UNKNOWN)
        for path, slug in named_meters(body)
        if slug not in meters and slug not in assumed
    ]
    if not any(path.endswith("]") for path in said):  # Else the plan lacks a price, and counts on.
        found += misfits(plan, meters)
    return [error for error in found if error.path not in said]


def _prices(body: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The prices of a body, and those of its add-ons, as far as they are objects."""
    for name in ("prices", "add_ons"):
        items = body.get(name)
        for place, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, Mapping) and name == "prices":
                yield f"{path}prices[{place}]", item
            elif isinstance(item, Mapping) and not path:
                yield from _prices(item, f"add_ons[{place}].")


def _misfits(price: PlanPrice, meter: Meter) -> Iterator[tuple[str, str]]:
    """(field, sentence)"""
    model = price.price.model
    adds_up = meter.aggregation in ADDS_UP
    if isinstance(model, Percentage) and not adds_up:
        yield (
            "meter",
            f"{price.meter} is a {meter.aggregation}, which is no sum of amounts: a percentage "
            f"needs a meter of {' or '.join(ADDS_UP)}",
        )
    if isinstance(model, TimeWeighted) and meter.aggregation != GAUGE:
        yield (
            "meter",
            f"{price.meter} is a {meter.aggregation}, which reports no level: a time_weighted "
            f"needs a meter of {GAUGE}",
        )
    if not isinstance(model, Matrix):
        return
    if not adds_up:
        yield (
            "meter",
            f"{price.meter} is a {meter.aggregation}, which cannot be added up over groups: a "
            f"matrix needs a meter of {' or '.join(ADDS_UP)}",
        )
    missing = [name for name in model.dimensions if name not in meter.group_by]
    if missing:
        known = ", ".join(sorted(meter.group_by)) or "none"
        yield (
            "dimensions",
            f"{price.meter} is not grouped by {', '.join(missing)}; its dimensions: {known}",
        )
