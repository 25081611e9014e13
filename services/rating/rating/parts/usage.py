"""The price of what a meter counts. It is due when its period has ended, and never prorated:
each part of a period is rated by itself, from its own usage.

    {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.002"}
"""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, Final

from common.events.rfc3339 import instant
from common.money import plain
from rating.exact import EXACT, Exact, ending, over
from rating.parts.due import Due
from rating.parts.period import BillingPeriod, Held
from rating.parts.price import PlanPrice
from rating.prices.matrix import Matrix
from rating.prices.model import GroupUsage, Seen
from rating.prices.percentage import Percentage
from rating.prices.time_weighted import TimeWeighted
from rating.proration import Proration, hours_between
from rating.rate import Context, Usage, left_over, rate

_HOUR: Final = Decimal(3600)
"""In seconds."""


@dataclass(frozen=True)
class Levels:
    """How long the levels of a gauge were held in a span, over all groups: `unit_seconds`, until
    `until` (None: there has never been one). `slots`: how many slots of ten seconds had a report in
    the span, counted for each group and shard by itself."""

    unit_seconds: Decimal
    until: datetime | None
    slots: int
    groups: int


@dataclass(frozen=True)
class HeldLevel:
    """A `level` of a gauge's `group`, `reported_at`, that held for [`start`, `end`) of a span."""

    group: dict[str, str]
    level: Decimal
    reported_at: datetime
    start: datetime
    end: datetime

    @property
    def seconds(self) -> Decimal:
        microseconds = (self.end - self.start) // timedelta(microseconds=1)
        return Decimal(microseconds).scaleb(-6)

    @property
    def hours(self) -> Exact:
        return over(self.seconds, _HOUR)


@dataclass(frozen=True)
class Measured:
    """A span's usage of one meter. `versions`: the highest rollup version by shard; `rows`: how
    many hours and slots were read. Both identify what was seen. `count`: of events. `groups`: the
    quantity by group, `levels`: of a gauge, where a price asks for them."""

    quantity: Decimal
    rows: int
    versions: Mapping[int, int] = field(default_factory=dict)
    count: int = 0
    groups: tuple[GroupUsage, ...] = ()
    levels: Levels | None = None


NO_LEVELS = Levels(Decimal(0), None, 0, 0)
NOTHING = Measured(Decimal(0), 0, {})

Measure = Callable[[str, Held], Measured]
"""What was used of a meter in a span."""


RolledOver = MutableMapping[str, Decimal]
"""Included units that the periods so far have left over, by price."""


def asked(
    price: PlanPrice, billing: BillingPeriod, measure: Measure, unit: str, rolled: RolledOver
) -> list[Due]:
    """What the usage of each span costs. `unit`: of the meter. `rolled` is used and kept up where
    the price rolls units over."""
    meter = price.meter or ""
    period = billing.period
    made = []
    for start, end in billing.held(price.add_on, price.window):
        measured = measure(meter, (start, end))
        proration = Proration(start, end, period.whole_start, period.whole_end)
        context = Context(billing.currency, proration)
        kept = _evidence(price, measured)
        whole = period.whole_start, period.whole_end
        used = _usage(measured.quantity, kept, whole, rolled.get(price.slug, Decimal(0)))
        rated = rate(price.price, used, context).settled()
        carried = {"rolled_over": plain(used.rolled_over)} if price.price.rollover else {}
        left = left_over(price.price, used)
        if left is not None:
            rolled[price.slug] = left
        made.append(
            Due(
                part=price.slug,
                kind="usage",
                description=price.description,
                start=start,
                end=end,
                due_at=period.end,
                quantity=ending(used.quantity),
                amount=rated.amount,
                lines=rated.lines,
                meter=meter,
                unit=f"{unit or 'unit'}-hours" if "levels" in kept else unit,
                evidence={
                    "price": price.price.fields(),
                    "period": [instant(period.whole_start), instant(period.whole_end)],
                    **carried,
                    **kept,
                    "meter": meter,
                    "hours": [instant(start), instant(end)],
                    "rollup_rows": measured.rows,
                    "rollup_versions": {str(s): v for s, v in sorted(measured.versions.items())},
                },
            )
        )
    return made


def used_again(quantity: Decimal, evidence: Mapping[str, Any]) -> Usage:
    """What was rated, as a charge of that quantity says it by its evidence."""
    start, end = map(datetime.fromisoformat, evidence["period"])
    return _usage(quantity, evidence, (start, end), Decimal(evidence.get("rolled_over", 0)))


def _usage(
    quantity: Exact, evidence: Mapping[str, Any], whole: Held, rolled_over: Decimal
) -> Usage:
    """`whole`: the whole period, of which a price per month is a part."""
    cells, levels = evidence.get("cells"), evidence.get("levels")
    groups = None
    if cells is not None:
        groups = tuple((cell["group"], Decimal(cell["quantity"])) for cell in cells)
    if levels is None:
        return Usage(quantity, Seen(count=evidence.get("events"), groups=groups), rolled_over)
    unit_hours = over(Decimal(levels["unit_seconds"]), _HOUR)
    return Usage(unit_hours, Seen(hours=hours_between(*whole)), rolled_over)


def _evidence(price: PlanPrice, measured: Measured) -> dict[str, Any]:
    """What the model looks at beside the quantity: of a matrix, the quantities by cell (groups may
    be very many, cells are not); of a percentage, how many events there were; of a time_weighted,
    how long levels were held."""
    match price.price.model:
        case Matrix() as matrix:
            with localcontext(EXACT):
                cells = matrix.gathered(measured.groups)
            return {
                "cells": [
                    {
                        "group": None if group is None else dict(group),
                        "quantity": plain(ending(quantity)),
                    }
                    for group, quantity in cells
                ]
            }
        case Percentage():
            return {"events": measured.count}
        case TimeWeighted():
            levels = measured.levels or NO_LEVELS
            return {
                "levels": {
                    "unit_seconds": plain(levels.unit_seconds),
                    "until": None if levels.until is None else instant(levels.until),
                    "slots": levels.slots,
                    "groups": levels.groups,
                }
            }
        case _:
            return {}
