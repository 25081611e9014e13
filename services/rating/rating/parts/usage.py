"""The price of what a meter counts. It is due when its period has ended, and never prorated:
each part of a period is rated by itself, from its own usage.

    {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.002"}
"""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

from common.money import plain
from rating.exact import EXACT, ending
from rating.parts.due import Due
from rating.parts.period import BillingPeriod, Held
from rating.parts.price import PlanPrice
from rating.parts.window import instant
from rating.prices.matrix import Matrix
from rating.prices.model import GroupUsage, Seen
from rating.prices.percentage import Percentage
from rating.proration import Proration
from rating.rate import Context, Usage, left_over, rate


@dataclass(frozen=True)
class Measured:
    """A span's usage of one meter. `versions`: the highest rollup version by shard; `rows`: how
    many hours and slots were read. Both identify what was seen. `count`: of events. `groups`: the
    quantity by group, where a price asks for it."""

    quantity: Decimal
    rows: int
    versions: Mapping[int, int] = field(default_factory=dict)
    count: int = 0
    groups: tuple[GroupUsage, ...] = ()


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
        seen = _seen(price, measured)
        used = Usage(measured.quantity, seen, rolled.get(price.slug, Decimal(0)))
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
                quantity=measured.quantity,
                amount=rated.amount,
                lines=rated.lines,
                meter=meter,
                unit=unit,
                evidence={
                    "price": price.price.fields(),
                    "period": [instant(period.whole_start), instant(period.whole_end)],
                    **carried,
                    **_evidence(seen),
                    "meter": meter,
                    "hours": [instant(start), instant(end)],
                    "rollup_rows": measured.rows,
                    "rollup_versions": {str(s): v for s, v in sorted(measured.versions.items())},
                },
            )
        )
    return made


def seen_again(evidence: Mapping[str, Any]) -> Seen:
    """What the model looked at beside the quantity, as a charge's evidence says it."""
    cells = evidence.get("cells")
    groups = None
    if cells is not None:
        groups = tuple((cell["group"], Decimal(cell["quantity"])) for cell in cells)
    return Seen(count=evidence.get("events"), groups=groups)


def _seen(price: PlanPrice, measured: Measured) -> Seen:
    match price.price.model:
        case Matrix() as matrix:
            with localcontext(EXACT):
                return Seen(groups=matrix.gathered(measured.groups))
        case Percentage():
            return Seen(count=measured.count)
        case _:
            return Seen()


def _evidence(seen: Seen) -> dict[str, Any]:
    """Of a matrix, the quantities by cell: groups may be very many, cells are not. Of a
    percentage, how many events there were."""
    made: dict[str, Any] = {} if seen.count is None else {"events": seen.count}
    if seen.groups is not None:
        made["cells"] = [
            {"group": None if group is None else dict(group), "quantity": plain(ending(quantity))}
            for group, quantity in seen.groups
        ]
    return made
