"""What every price model is: its fields, its validation, its arithmetic and its explanation."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar, Protocol, Self

from common.contracts.charges import ChargeLine
from rating.prices.fields import Fields


class PriceModel(Protocol):
    """A model of prices, with one price's parameters.

    `name`: how plans name it. `metered`: whether it prices the usage of a meter; otherwise it is
    a fee, which is due once a period and prorated in a period that is not whole.
    """

    name: ClassVar[str]
    metered: ClassVar[bool]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """The price in `fields`; errors are reported there, with path and sentence, not raised."""
        ...

    def lines(self, quantity: Decimal) -> Sequence[ChargeLine]:
        """What `quantity` (not negative) costs in a whole period, step by step; the amounts of
        the lines add up to it. Runs in the context `rating.exact.EXACT`."""
        ...

    def fields(self) -> dict[str, Any]:
        """The fields in canonical form: equal prices give equal values."""
        ...
