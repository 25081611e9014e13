"""unit: the same for every unit. `{"model": "unit", "unit_amount": "0.002"}`"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step


@dataclass(frozen=True)
class Unit:
    """`unit_amount`: for one unit of the meter, not negative; fractions of a unit count."""

    name: ClassVar[str] = "unit"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = True

    unit_amount: Decimal

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(unit_amount=fields.decimal("unit_amount"))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        return [
            Step(
                kind="unit",
                description=f"{shown(quantity)} × {plain(self.unit_amount)}",
                quantity=quantity,
                unit_amount=self.unit_amount,
                amount=times(quantity, self.unit_amount),
            )
        ]

    def fields(self) -> dict[str, Any]:
        return {"unit_amount": plain(self.unit_amount)}
