"""time_weighted: a level costs as long as it is held.

`{"model": "time_weighted", "unit_amount": "1", "per": "month"}`: 2500 units from 5 March on are
2500 × 648 hours, of 744 in the month, and cost 2177.42. The quantity is in unit-hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact, over, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step


@dataclass(frozen=True)
class TimeWeighted:
    """`unit_amount`: for one unit held for an hour, or for the whole period (`per`: month)."""

    name: ClassVar[str] = "time_weighted"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = "changes"
    by_quantity: ClassVar[bool] = True

    unit_amount: Decimal
    per: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(
            unit_amount=fields.decimal("unit_amount"), per=fields.choice("per", ("hour", "month"))
        )

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        """Raises ValueError for a price per month when the period's length is not known."""
        amount = times(quantity, self.unit_amount)
        divided = ""
        if self.per == "month":
            if not seen.hours:
                raise ValueError("a price per month needs the period")
            amount = over(amount, seen.hours)
            divided = f" ÷ {shown(seen.hours)} hours of the period"
        return [
            Step(
                kind="time_weighted",
                description=f"{shown(quantity)} unit-hours × {plain(self.unit_amount)}{divided}",
                quantity=quantity,
                unit_amount=None if self.per == "month" else self.unit_amount,
                amount=amount,
            )
        ]

    def fields(self) -> dict[str, Any]:
        return {"unit_amount": plain(self.unit_amount), "per": self.per}
