"""percentage: each event costs a part of its amount and a fixed amount.

`{"model": "percentage", "rate": "0.013", "fixed_amount": "2", "free_events": "3", "free_amount":
"250"}`: 50, 100, 250, 400 cost nothing, nothing, 150 × 0.013 + 2, and 400 × 0.013 + 2:
11.15. Events are free until one of the limits is reached; the event that crosses `free_amount`
pays for the rest. A limit of 0 is none: nobody means "three events free, up to 0 in all".

Without such limits and bounds, the sum of the amounts and the number of events say it all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final, Self

from common.money import plain
from rating.exact import Exact, plus, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Need, Seen, Step

BY_EVENT: Final = ("free_events", "free_amount", "min_per_event", "max_per_event")


@dataclass(frozen=True)
class Percentage:
    """`rate`: 0.0299 is 2.99 %. The two bounds hold for what an event that is not free costs.
    `free_events`, `free_amount`: None: no such limit; both None: nothing is free."""

    name: ClassVar[str] = "percentage"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = "events"
    by_quantity: ClassVar[bool] = False

    rate: Decimal
    fixed_amount: Decimal
    free_events: int | None
    free_amount: Decimal | None
    min_per_event: Decimal | None
    max_per_event: Decimal | None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        made = cls(
            rate=fields.decimal("rate"),
            fixed_amount=fields.decimal("fixed_amount", default=Decimal(0)),
            free_events=fields.whole("free_events", default=0, most=10**12 - 1) or None,
            free_amount=fields.maybe_decimal("free_amount") or None,
            min_per_event=fields.maybe_decimal("min_per_event"),
            max_per_event=fields.maybe_decimal("max_per_event"),
        )
        least, most = made.min_per_event, made.max_per_event
        are_right = fields.is_right("min_per_event") and fields.is_right("max_per_event")
        if least is not None and most is not None and least > most and are_right:
            fields.refuse("min_per_event", f"must not be above max_per_event, {plain(most)}")
        return made

    @property
    def by_event(self) -> tuple[str, ...]:
        """The fields that look at each event's amount: without one, their sum and count do."""
        return tuple(name for name in BY_EVENT if getattr(self, name) is not None)

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        if seen.amounts is None and seen.count is not None:
            if self.by_event:
                raise ValueError(f"{self.by_event[0]} needs the amount of each event")
            cost = plus(times(quantity, self.rate), times(Decimal(seen.count), self.fixed_amount))
            return [self._step(seen.count, seen.count, quantity, cost)]
        amounts: Sequence[Exact] = (quantity,) if quantity else ()
        if seen.amounts is not None:
            amounts = seen.amounts
        used: Exact = Decimal(0)
        paid: Exact = Decimal(0)
        total: Exact = Decimal(0)
        paying = 0
        for index, amount in enumerate(amounts):
            rest = self._not_free(index, amount, used)
            used = plus(used, amount)
            if rest is not None:
                paying += 1
                paid = plus(paid, rest)
                total = plus(total, self._bounded(plus(times(rest, self.rate), self.fixed_amount)))
        return [self._step(paying, len(amounts), paid, total)]

    def _step(self, paying: int, events: int, paid: Exact, cost: Exact) -> Step:
        """`paid`: what of the paying events' amounts pays."""
        return Step(
            kind="percentage",
            description=f"{paying:,} of {events:,} events pay: "
            f"{shown(paid)} × {plain(self.rate)} + {paying} × {plain(self.fixed_amount)}"
            f"{self._bounds()}",
            quantity=paid,
            unit_amount=None if self._has_more else self.rate,
            amount=cost,
        )

    def _not_free(self, index: int, amount: Exact, used: Exact) -> Exact | None:
        """The part of an event's amount that pays, None for an event that is free."""
        if self.free_events is None and self.free_amount is None:
            return amount
        if self.free_events is not None and index >= self.free_events:
            return amount
        if self.free_amount is None:
            return None
        if used >= self.free_amount:
            return amount
        beyond = plus(plus(used, amount), -self.free_amount)
        return beyond if beyond > 0 else None

    def _bounded(self, cost: Exact) -> Exact:
        if self.min_per_event is not None and cost < self.min_per_event:
            return self.min_per_event
        if self.max_per_event is not None and cost > self.max_per_event:
            return self.max_per_event
        return cost

    @property
    def _has_more(self) -> bool:
        """Whether an event costs something else than its amount times the rate."""
        return bool(self.fixed_amount or self._bounds())

    def _bounds(self) -> str:
        least = "" if self.min_per_event is None else f", at least {plain(self.min_per_event)}"
        most = "" if self.max_per_event is None else f", at most {plain(self.max_per_event)}"
        return f"{least}{most} an event" if least or most else ""

    def fields(self) -> dict[str, Any]:
        made: dict[str, Any] = {"rate": plain(self.rate), "fixed_amount": plain(self.fixed_amount)}
        if self.free_events is not None:
            made["free_events"] = str(self.free_events)
        for name in BY_EVENT[1:]:
            value = getattr(self, name)
            if value is not None:
                made[name] = plain(value)
        return made
