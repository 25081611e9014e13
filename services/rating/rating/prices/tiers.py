"""Tiers: `[{"up_to": "10"|null, "unit_amount": "1", "flat_amount": "0"}, ...]`.

`up_to` is inclusive; the last tier is open (null), so that no unit is billed nowhere.
"""

from collections.abc import Sequence
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

    def fields(self, amount: str = "unit_amount") -> dict[str, Any]:
        return {
            "up_to": None if self.up_to is None else plain(self.up_to),
            amount: plain(self.unit_amount),
            "flat_amount": plain(self.flat_amount),
        }


def read_tiers(fields: Fields, amount: str = "unit_amount") -> tuple[Tier, ...]:
    """The tiers of a price: ascending, the last one open and no other. `amount` names the
    field of what a unit costs."""
    tiers, places = [], []
    for item in fields.objects("tiers", max_items=MAX_TIERS):
        open_end = item.raw("up_to") is None
        tiers.append(
            Tier(
                up_to=None if open_end else item.decimal("up_to", above_zero=True),
                unit_amount=item.decimal(amount, default=Decimal(0)),
                flat_amount=item.decimal("flat_amount", default=Decimal(0)),
            )
        )
        places.append(item)
        item.finish()
    _check_ends([tier.up_to for tier in tiers], places)
    return tuple(tiers)


def _check_ends(ends: Sequence[Decimal | None], places: Sequence[Fields]) -> None:
    """Report ends of tiers that do not ascend to one open tier at the end."""
    is_read = bool(places) and places[-1].is_right("up_to")
    for index, (before, end) in enumerate(pairwise(ends), start=1):
        if before is None:
            places[index - 1].refuse("up_to", "only the last tier may be open")
        elif not places[index - 1].is_right("up_to") or not places[index].is_right("up_to"):
            continue
        elif end is not None and end <= before:
            places[index].refuse(
                "up_to", f"must be above {plain(before)}, where the tier before it ends"
            )
    if ends and ends[-1] is not None and is_read:
        places[-1].refuse("up_to", "the last tier must be open: null, so that all units cost")
