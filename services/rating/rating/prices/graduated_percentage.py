"""graduated_percentage: each part of a sum of amounts costs the rate of the tier it falls into.

`{"model": "graduated_percentage", "tiers": [{"up_to": "10", "rate": "0.01", "flat_amount": "200"},
{"up_to": null, "rate": "0.02", "flat_amount": "300"}]}`: 11 cost 200 + 0.10 + 300 + 0.02. A tier is
a graduated tier whose unit is one unit of money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from rating.exact import Exact
from rating.prices.fields import Fields
from rating.prices.graduated import Graduated
from rating.prices.model import Need, Seen, Step
from rating.prices.tiers import read_tiers


@dataclass(frozen=True)
class GraduatedPercentage:
    """`graduated`: the same tiers, the rate as the amount of a unit."""

    name: ClassVar[str] = "graduated_percentage"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = True

    graduated: Graduated

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(Graduated(read_tiers(fields, amount="rate")))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        return self.graduated.lines(quantity, seen)

    def fields(self) -> dict[str, Any]:
        return {"tiers": [tier.fields(amount="rate") for tier in self.graduated.tiers]}
