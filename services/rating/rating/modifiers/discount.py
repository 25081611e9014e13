"""discount: `{"percent": "50"}` or `{"amount": "20"}` off what the model asks, never below zero;
`{"quantity": "100"}`: so many units off what the model sees."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from common.money import plain
from rating.exact import Exact, times
from rating.prices.fields import Fields

KINDS: Final = ("percent", "amount", "quantity")


@dataclass(frozen=True)
class Discount:
    """`value` of one `kind`; percent: 0 to 100."""

    kind: str
    value: Decimal

    def off(self, amount: Exact) -> Exact:
        """What is taken off an amount, for a discount of money."""
        if self.kind == "percent":
            return times(amount, self.value.scaleb(-2))
        return min(amount, self.value)

    def describe(self) -> str:
        return f"Discount of {plain(self.value)}{' %' if self.kind == 'percent' else ''}"

    def fields(self) -> dict[str, Any]:
        """Canonical."""
        return {self.kind: plain(self.value)}


def read_discount(fields: Fields, *, by_quantity: bool) -> Discount | None:
    """The discount of a price, None where there is none."""
    item = fields.within("discount")
    if item is None:
        return None
    known = KINDS if by_quantity else KINDS[:2]
    given = [name for name in KINDS if item.raw(name) is not None]
    if given == ["quantity"] and not by_quantity:
        item.refuse("quantity", "takes units off, and this model has none: use percent or amount")
    elif len(given) != 1:
        fields.refuse("discount", f"must have exactly one of: {', '.join(known)}")
    made = Discount(given[0], item.decimal(given[0])) if given else None
    if made is not None and made.kind == "percent" and made.value > 100:
        item.refuse("percent", "must be from 0 to 100: 50 is 50 %")
    item.finish()
    return made
