"""A coupon: a percentage or an amount off, for so many periods. It is a step of the charges that
it lowers, so that each of them says what it took off.

    {"slug": "welcome", "percent": "50", "periods": 3}
    {"slug": "sorry", "amount": "20.00", "periods": 1, "of": ["base"]}

`of` lists the parts that it lowers; all fees, usage and quantities when left out. An amount is off
a whole period, however it is cut, first off what is due first; it never makes a charge negative.
The period in which it begins counts as the first. Of several, each is off what the one before left.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from common.money import plain
from rating.exact import settle
from rating.parts.commitment import COUNTED
from rating.parts.due import Due
from rating.parts.names import read_new_slug, read_slugs
from rating.parts.period import BillingPeriod, note
from rating.prices.fields import Fields

MAX_PERIODS = 10_000
KIND = "coupon"
"""Of the line by which it lowers a charge."""

Left = MutableMapping[tuple[str, tuple[datetime, datetime]], Decimal]
"""How much of a coupon's amount is left, by coupon and whole period."""


@dataclass(frozen=True)
class Coupon:
    """`percent` or `amount` is set. `periods` None: for ever."""

    slug: str
    percent: Decimal | None
    amount: Decimal | None
    periods: int | None = None
    of: tuple[str, ...] | None = None

    def canonical(self) -> dict[str, Any]:
        said: dict[str, Any] = {"slug": self.slug}
        if self.percent is not None:
            said["percent"] = plain(self.percent)
        if self.amount is not None:
            said["amount"] = plain(self.amount)
        if self.periods is not None:
            said["periods"] = self.periods
        return said if self.of is None else {**said, "of": list(self.of)}

    def lowers(self, due: Due) -> bool:
        return due.kind in COUNTED if self.of is None else due.part in self.of

    def holds(self, billing: BillingPeriod, since: datetime) -> bool:
        """Whether the period is one of its, where it began at `since`."""
        if billing.period.end <= since:
            return False
        if self.periods is None:
            return True
        first = billing.recurrence.index(since)
        return billing.period.start < billing.recurrence.bounds(first + self.periods)[0]


def read_coupon(fields: Fields, taken: set[str]) -> Coupon:
    """The coupon in `fields`, which are finished here."""
    percent = fields.maybe_decimal("percent", above_zero=True)
    amount = fields.maybe_decimal("amount", above_zero=True)
    if (percent is None) == (amount is None):
        fields.refuse("percent", "a coupon has either percent or amount")
    if percent is not None and percent > 100:
        fields.refuse("percent", "must not be above 100")
    periods = fields.raw("periods")
    if periods is not None:
        periods = fields.whole("periods", default=1, most=MAX_PERIODS)
        if periods == 0:
            fields.refuse("periods", "must be at least 1; leave it out for ever")
    made = Coupon(read_new_slug(fields, taken), percent, amount, periods, read_slugs(fields, "of"))
    fields.finish()
    return made


def lowered(coupon: Coupon, billing: BillingPeriod, dues: Sequence[Due], left: Left) -> list[Due]:
    """`dues` with what the coupon takes off; `left` is used up by it."""
    key = (coupon.slug, billing.period.whole)
    order = sorted(range(len(dues)), key=lambda place: (dues[place].due_at, place))
    made = list(dues)
    for place in order:
        due = made[place]
        if not coupon.lowers(due) or due.amount <= 0:
            continue
        if coupon.percent is not None:
            off = settle(Fraction(due.amount) * Fraction(coupon.percent) / 100)
            seen: dict[str, Any] = {"slug": coupon.slug, "percent": plain(coupon.percent)}
            said = f"Coupon {coupon.slug}: {plain(coupon.percent)} % off"
        else:
            rest = left.get(key, coupon.amount or Decimal(0))
            # In what the invoice says, so that the amount off is exactly the coupon's.
            off = min(rest, due.rounded(billing.currency))
            left[key] = rest - off
            seen = {"slug": coupon.slug, "left": plain(rest)}
            said = f"Coupon {coupon.slug}: {plain(off)} of {plain(rest)} off"
        if off:
            before = due.evidence.get("coupons", [])
            evidence = {"coupons": [*before, seen]}
            made[place] = due.with_line(note(KIND, said, -off), evidence)
    return made
