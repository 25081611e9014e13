"""Tiers: `[{"up_to": "10"|null, "unit_amount": "1", "flat_amount": "0"}, ...]`.

`up_to` is inclusive; the last tier is open (null), so that no unit is billed nowhere.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from common.money import plain
from rating.prices.fields import Fields

MAX_TIERS: Final = 100


@dataclass(frozen=True)
class Tier:
    """`up_to`: the last unit of the tier, None when it is open. `flat_amount`: due once the tier
    is reached."""

    up_to: Decimal | None
    unit_amount: Decimal
    flat_amount: Decimal

    def fields(self) -> dict[str, Any]:
        return {
            "up_to": None if self.up_to is None else plain(self.up_to),
            "unit_amount": plain(self.unit_amount),
            "flat_amount": plain(self.flat_amount),
        }


def read_tiers(fields: Fields) -> tuple[Tier, ...]:
    """The tiers of a price: ascending, the last one open and no other."""
    tiers, places = [], []
    for item in fields.objects("tiers", max_items=MAX_TIERS):
        open_end = item.raw("up_to") is None
        tiers.append(
            Tier(
                up_to=None if open_end else item.decimal("up_to", above_zero=True),
                unit_amount=item.decimal("unit_amount", default=Decimal(0)),
                flat_amount=item.decimal("flat_amount", default=Decimal(0)),
            )
        )
        places.append(item)
        item.finish()
    for index, (before, tier) in enumerate(pairwise(tiers), start=1):
        if before.up_to is None:
            places[index - 1].refuse("up_to", "only the last tier may be open")
        elif tier.up_to is not None and tier.up_to <= before.up_to:
            places[index].refuse(
                "up_to", f"must be above {plain(before.up_to)}, where the tier before it ends"
            )
    if tiers and tiers[-1].up_to is not None:
        places[-1].refuse("up_to", "the last tier must be open: null, so that all units cost")
    return tuple(tiers)
