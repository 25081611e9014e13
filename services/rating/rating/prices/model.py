"""What every price model is: its fields, its validation, its arithmetic and its explanation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias

import msgspec

from rating.exact import Exact
from rating.prices.fields import Fields


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A charge line before it is settled: its numbers may have no end. Where it has a quantity and
    a `unit_amount`, their product is the amount."""

    kind: str
    description: str
    quantity: Exact | None = None
    unit_amount: Decimal | None = None
    amount: Exact
    tier: int | None = None


Need: TypeAlias = Literal["events", "group", "changes"]
"""What a model looks at beside the quantity: each event, the groups, when a level changed."""
Group: TypeAlias = Mapping[str, str]
"""Values of a meter's dimensions, by name."""
GroupUsage: TypeAlias = tuple[Group | None, Exact]
"""What was used in a group; None: in groups that no cell of the price names."""


@dataclass(frozen=True)
class Seen:
    """What a model may look at beside the quantity.

    `amounts`: of the events, one by one, in order; None when they are not known. `count`: how many
    events there were, where only the sum of their amounts is known. `groups`: the quantity by
    group; None: all of it is in `group`. `hours`: of the whole period.
    """

    amounts: tuple[Decimal, ...] | None = None
    count: int | None = None
    group: Group = field(default_factory=dict)
    groups: tuple[GroupUsage, ...] | None = None
    hours: Exact | None = None


NOTHING_SEEN = Seen()


class PriceModel(Protocol):
    """A model of prices, with one price's parameters.

    `name`: how plans name it. `metered`: whether it prices the usage of a meter; otherwise it is
    a fee, which is due once a period and prorated in a period that is not whole. `needs`: what it
    must see beside the quantity. `by_quantity`: whether the quantity decides, so that conversion,
    included units and the like have a meaning.
    """

    name: ClassVar[str]
    metered: ClassVar[bool]
    needs: ClassVar[Need | None]
    by_quantity: ClassVar[bool]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """The price in `fields`; errors are reported there, with path and sentence, not raised."""
        ...

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        """What `quantity` (not negative) costs in a whole period, step by step; the amounts of
        the lines add up to it. Runs in the context `rating.exact.EXACT`."""
        ...

    def fields(self) -> dict[str, Any]:
        """The fields in canonical form: equal prices give equal values."""
        ...
