"""volume: all units cost what the tier says that the whole quantity falls into.

`{"model": "volume", "tiers": [{"up_to": "15", "unit_amount": "10"}, {"up_to": null,
"unit_amount": "5"}]}`: 15 cost 150, 16 cost 80. Zero falls into the first tier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step
from rating.prices.tiers import Tier, read_tiers


@dataclass(frozen=True)
class Volume:
    """`tiers`: ascending, the last one open."""

    name: ClassVar[str] = "volume"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = True

    tiers: tuple[Tier, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(tiers=read_tiers(fields))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        number, tier = next(
            (number, tier)
            for number, tier in enumerate(self.tiers, start=1)
            if tier.up_to is None or quantity <= tier.up_to
        )
        lines = [
            Step(
                kind="tier",
                description=f"Tier {number} for all: {shown(quantity)} × {plain(tier.unit_amount)}",
                quantity=quantity,
                unit_amount=tier.unit_amount,
                amount=times(quantity, tier.unit_amount),
                tier=number,
            )
        ]
        if tier.flat_amount:
            lines.append(
                Step(
                    kind="tier_flat",
                    description=f"Tier {number} reached",
                    amount=tier.flat_amount,
                    tier=number,
                )
            )
        return lines

    def fields(self) -> dict[str, Any]:
        return {"tiers": [tier.fields() for tier in self.tiers]}
