"""flat: an amount a period, whatever is used. `{"model": "flat", "amount": "49.00"}`"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step


@dataclass(frozen=True)
class Flat:
    """`amount`: for a whole period, not negative."""

    name: ClassVar[str] = "flat"
    metered: ClassVar[bool] = False
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = False

    amount: Decimal

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(amount=fields.decimal("amount"))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        return [
            Step(
                kind="flat",
                description="Fee",
                quantity=Decimal(1),
                unit_amount=self.amount,
                amount=self.amount,
            )
        ]

    def fields(self) -> dict[str, Any]:
        return {"amount": plain(self.amount)}
