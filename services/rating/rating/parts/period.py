"""A billing period of a subscription on one plan, as its parts see it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from common.contracts.charges import ChargeLine
from common.periods import Period, Recurrence
from rating.parts.window import Window


@dataclass(frozen=True)
class Piece:
    """[`start`, `end`) in which quantities and add-ons stay as they are. `quantities`: those that
    the subscription has set."""

    start: datetime
    end: datetime
    quantities: tuple[tuple[str, Decimal], ...] = ()
    add_ons: frozenset[str] = frozenset()


Held = tuple[datetime, datetime]
"""[start, end) in which a part holds."""


@dataclass(frozen=True)
class BillingPeriod:
    """`pieces` tile `period`. `recurrence`: of the plan, for what counts periods. `entered`: since
    when the subscription has been on this plan, whatever its version. `add_ons_since`: since when
    each add-on has first been on."""

    period: Period
    currency: str
    recurrence: Recurrence
    entered: datetime
    pieces: tuple[Piece, ...]
    is_trial: bool = False
    add_ons_since: tuple[tuple[str, datetime], ...] = ()

    def contains(self, at: datetime) -> bool:
        return self.period.start <= at < self.period.end

    def held(self, add_on: str | None, window: Window) -> list[Held]:
        """Where in the period a part holds: its add-on (if it has one) is on, its window open."""
        found: list[Held] = []
        for piece in self.pieces:
            if add_on is not None and add_on not in piece.add_ons:
                continue
            inside = window.within(piece.start, piece.end)
            if inside is None:
                continue
            if found and found[-1][1] == inside[0]:
                found[-1] = (found[-1][0], inside[1])
            else:
                found.append(inside)
        return found

    def quantities(
        self, name: str, default: Decimal, span: Held
    ) -> list[tuple[Decimal, datetime, datetime]]:
        """How much of a quantity the subscription holds from when to when within `span`."""
        found: list[tuple[Decimal, datetime, datetime]] = []
        for piece in self.pieces:
            start, end = max(piece.start, span[0]), min(piece.end, span[1])
            if start >= end:
                continue
            quantity = dict(piece.quantities).get(name, default)
            if found and found[-1][0] == quantity:
                found[-1] = (quantity, found[-1][1], end)
            else:
                found.append((quantity, start, end))
        return found


def note(kind: str, description: str, amount: Decimal = Decimal(0)) -> ChargeLine:
    """A step that is not a quantity times a price."""
    return ChargeLine(kind=kind, description=description, amount=amount)
