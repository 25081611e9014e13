"""package: begun packages cost. `{"model": "package", "package_size": "10", "amount": "15"}`"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar, Self

from common.money import plain
from rating.exact import Exact, shown
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step


@dataclass(frozen=True)
class Package:
    """`amount`: for each package of `package_size` units that was begun."""

    name: ClassVar[str] = "package"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = None
    by_quantity: ClassVar[bool] = True

    package_size: Decimal
    amount: Decimal

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(
            package_size=fields.decimal("package_size", above_zero=True),
            amount=fields.decimal("amount"),
        )

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        packages = Decimal(ceil(Fraction(quantity) / Fraction(self.package_size)))
        return [
            Step(
                kind="package",
                description=f"{shown(quantity)} in packages of {plain(self.package_size)}: "
                f"{plain(packages)} × {plain(self.amount)}",
                quantity=packages,
                unit_amount=self.amount,
                amount=packages * self.amount,
            )
        ]

    def fields(self) -> dict[str, Any]:
        return {"package_size": plain(self.package_size), "amount": plain(self.amount)}
