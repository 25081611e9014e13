"""conversion: from the meter's unit to the unit that is priced.

`{"divide": "1000", "rounding": "ceiling"}`: 1400 becomes 2. `precision`: decimals that rounding
keeps, 0 when left out; with `none` it says nothing. The whole period's usage is converted, once.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

from common.money import plain
from rating.exact import DECIMAL_POWERS, Exact, over, times
from rating.prices.fields import Fields

ROUNDINGS: Final = ("none", "ceiling", "floor", "half_up")


@dataclass(frozen=True)
class Conversion:
    """Multiplied by `factor`, or divided by it."""

    factor: Decimal
    divide: bool
    rounding: str
    precision: int

    def apply(self, quantity: Exact) -> Exact:
        """The quantity (not negative) in the unit that is priced."""
        convert = over if self.divide else times
        exact = convert(quantity, self.factor)
        if self.rounding == "none":
            return exact
        scale = DECIMAL_POWERS[self.precision]
        scaled = Fraction(exact) * scale
        if self.rounding == "ceiling":
            units = ceil(scaled)
        elif self.rounding == "floor":
            units = floor(scaled)
        else:
            units = floor(scaled + Fraction(1, 2))
        return Decimal(units).scaleb(-self.precision)

    def describe(self) -> str:
        """What is done to a quantity: `÷ 1000, ceiling`."""
        said = f"{'÷' if self.divide else '×'} {plain(self.factor)}"
        if self.rounding == "none":
            return said
        kept = f" at {self.precision} decimals" if self.precision else ""
        return f"{said}, {self.rounding.replace('_', ' ')}{kept}"

    def fields(self) -> dict[str, Any]:
        """Canonical."""
        made: dict[str, Any] = {"divide" if self.divide else "multiply": plain(self.factor)}
        if self.rounding != "none":
            made |= {"rounding": self.rounding, "precision": self.precision}
        return made


def read_conversion(fields: Fields) -> Conversion | None:
    """The conversion of a price, None where there is none."""
    item = fields.within("conversion")
    if item is None:
        return None
    given = [name for name in ("multiply", "divide") if item.raw(name) is not None]
    if len(given) != 1:
        fields.refuse("conversion", "must have either multiply or divide, not both and not neither")
    name = given[0] if given else "multiply"
    factor = item.decimal(name, above_zero=True) if given else Decimal(1)
    rounding = item.choice("rounding", ROUNDINGS, default="none")
    precision = item.whole("precision", default=0, most=18)
    is_given = item.raw("precision") is not None and item.is_right("precision")
    if is_given and item.raw("rounding") is None:
        said = f"needs a rounding: {', '.join(ROUNDINGS[1:])}"
        item.refuse("precision", said, tolerated=True)
    item.finish()
    return Conversion(factor, name == "divide", rounding, precision if rounding != "none" else 0)
