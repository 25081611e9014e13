"""graduated: each unit costs what the tier that it falls into says.

`{"model": "graduated", "tiers": [{"up_to": "10", "unit_amount": "10", "flat_amount": "2"},
{"up_to": null, "unit_amount": "5", "flat_amount": "3"}]}`: 0 units cost 2, 10 cost 102, 11 cost
110. A tier is reached by the first unit above the one before it; the first is reached always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact, minus, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step
from rating.prices.tiers import Tier, read_tiers


@dataclass(frozen=True)
class Graduated:
    """`tiers`: ascending, the last one open."""

    name: ClassVar[str] = "graduated"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = True

    tiers: tuple[Tier, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(tiers=read_tiers(fields))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        lines = []
        floor = Decimal(0)
        for number, tier in enumerate(self.tiers, start=1):
            if quantity <= floor and number > 1:
                break
            inside: Exact = quantity if tier.up_to is None else min(quantity, tier.up_to)
            units = minus(inside, floor)
            reach = "" if tier.up_to is None else f" up to {plain(tier.up_to)}"
            lines.append(
                Step(
                    kind="tier",
                    description=f"Tier {number}{reach}: {shown(units)} × {plain(tier.unit_amount)}",
                    quantity=units,
                    unit_amount=tier.unit_amount,
                    amount=times(units, tier.unit_amount),
                    tier=number,
                )
            )
            if tier.flat_amount:
                lines.append(
                    Step(
                        kind="tier_flat",
                        description=f"Tier {number}{reach} reached",
                        amount=tier.flat_amount,
                        tier=number,
                    )
                )
            if tier.up_to is not None:
                floor = tier.up_to
        return lines

    def fields(self) -> dict[str, Any]:
        return {"tiers": [tier.fields() for tier in self.tiers]}
