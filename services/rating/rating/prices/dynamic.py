"""dynamic: amounts that were used, times a factor. `{"model": "dynamic", "multiplier": "1.2"}`"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step


@dataclass(frozen=True)
class Dynamic:
    """`multiplier`: of the sum of amounts, which is the quantity."""

    name: ClassVar[str] = "dynamic"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = True

    multiplier: Decimal

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(multiplier=fields.decimal("multiplier"))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        return [
            Step(
                kind="dynamic",
                description=f"{shown(quantity)} × {plain(self.multiplier)}",
                quantity=quantity,
                unit_amount=self.multiplier,
                amount=times(quantity, self.multiplier),
            )
        ]

    def fields(self) -> dict[str, Any]:
        return {"multiplier": plain(self.multiplier)}
