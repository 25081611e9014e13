"""Prepaid credits: bought in advance, and used up by what is billed in arrears.

    {"slug": "package", "amount": "100.00", "price": "80.00", "every": "period",
     "expires_after": 3, "of": ["requests"]}

Every period (or once, when the plan is first entered) `amount` is added to the balance for
`price`. What usage and other prices in arrears cost (those in `of`, or all) is taken off the
balance, what expires first is used first; the rest stays for later periods. The purchase and the
use are charges of their own: one is a sale, the other a payment. Neither is prorated, and a balance
belongs to its plan: on another plan it rests.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from common.contracts.charges import ChargeLine
from common.events.rfc3339 import instant
from common.money import plain
from rating.parts.commitment import COUNTED
from rating.parts.coupon import MAX_PERIODS
from rating.parts.due import Due
from rating.parts.names import read_new_slug, read_slugs
from rating.parts.period import BillingPeriod, note
from rating.prices.fields import Fields

EVERY = ("period", "once")
USED = "~used"
"""What the charge of the use is called behind the slug; no slug can contain it."""


Unpaid: TypeAlias = MutableMapping[tuple[str, datetime], Decimal]
"""What credits have left to pay of a period's charges, by part and begin."""


@dataclass(frozen=True)
class Credits:
    """`amount` of credit for `price`. `expires_after`: so many periods, that of the purchase
    included; None: never."""

    slug: str
    amount: Decimal
    price: Decimal
    every: Literal["period", "once"] = "period"
    expires_after: int | None = None
    of: tuple[str, ...] | None = None
    description: str = ""

    def canonical(self) -> dict[str, Any]:
        said: dict[str, Any] = {"slug": self.slug}
        if self.description:
            said["description"] = self.description
        said |= {"amount": plain(self.amount), "price": plain(self.price)}
        if self.every != "period":
            said["every"] = self.every
        if self.expires_after is not None:
            said["expires_after"] = self.expires_after
        return said if self.of is None else {**said, "of": list(self.of)}

    def pays(self, due: Due, billing: BillingPeriod) -> bool:
        if due.due_at != billing.period.end:
            return False
        return due.kind in (*COUNTED, "commitment") if self.of is None else due.part in self.of


@dataclass
class Grant:
    """Credit that was bought, for the whole period `of`: `left` of it until `expires_at` (None:
    for ever)."""

    bought_at: datetime
    of: tuple[datetime, datetime]
    expires_at: datetime | None
    left: Decimal


@dataclass
class Balance:
    """What a subscription has of one plan's credits, carried from period to period."""

    grants: list[Grant] = field(default_factory=list)

    def usable(self, at: datetime) -> list[Grant]:
        """What is left for a period that begins at `at`, what expires first in front."""
        found = [one for one in self.grants if one.left and not _is_over(one, at)]
        return sorted(
            found, key=lambda one: (one.expires_at is None, one.expires_at, one.bought_at)
        )


def _is_over(grant: Grant, at: datetime) -> bool:
    return grant.expires_at is not None and grant.expires_at <= at


def read_credits(fields: Fields, taken: set[str]) -> Credits:
    """The credits in `fields`, which are finished here."""
    expires = fields.raw("expires_after")
    if expires is not None:
        expires = fields.whole("expires_after", default=1, most=MAX_PERIODS)
        if expires == 0:
            fields.refuse("expires_after", "must be at least 1; leave it out for never")
    made = Credits(
        slug=read_new_slug(fields, taken),
        amount=fields.decimal("amount", above_zero=True),
        price=fields.decimal("price"),
        every="once" if fields.choice("every", EVERY, default="period") == "once" else "period",
        expires_after=expires,
        of=read_slugs(fields, "of"),
        description=fields.text("description", default=""),
    )
    fields.finish()
    return made


def bought(credits: Credits, billing: BillingPeriod, balance: Balance) -> list[Due]:
    """The purchase of the period, which is added to the balance."""
    period = billing.period
    if any(grant.of == period.whole for grant in balance.grants):
        return []  # A later part of a period that was cut.
    if credits.every == "once" and balance.grants:
        return []
    expires_at = None
    if credits.expires_after is not None:
        first = billing.recurrence.index(period.start)
        expires_at = billing.recurrence.bounds(first + credits.expires_after)[0]
    balance.grants.append(Grant(period.start, period.whole, expires_at, credits.amount))
    description = credits.description or f"Prepaid credit of {plain(credits.amount)}"
    return [
        Due(
            part=credits.slug,
            kind="credit_purchase",
            description=description,
            start=period.start,
            end=period.end,
            due_at=period.start,
            quantity=Decimal(1),
            amount=credits.price,
            lines=(
                ChargeLine(
                    kind="credit_purchase",
                    description=description,
                    quantity=Decimal(1),
                    unit_amount=credits.price,
                    amount=credits.price,
                ),
            ),
            evidence={
                "credits": credits.canonical(),
                "expires_at": None if expires_at is None else instant(expires_at),
            },
        )
    ]


def used(
    credits: Credits,
    billing: BillingPeriod,
    balance: Balance,
    dues: Sequence[Due],
    unpaid: Unpaid,
) -> list[Due]:
    """What of the period's charges the balance pays: a negative amount. `unpaid` is kept up, so
    that of several credits none pays what one before it has paid."""
    period = billing.period
    paid = [due for due in dues if credits.pays(due, billing)]
    owing = {
        (due.part, due.start): unpaid.setdefault(
            (due.part, due.start), due.rounded(billing.currency)
        )
        for due in paid
    }
    owed = sum(owing.values(), Decimal(0))
    before = sum((grant.left for grant in balance.usable(period.start)), Decimal(0))
    lines = []
    for grant in balance.usable(period.start):
        taken = min(grant.left, owed)
        if taken <= 0:
            break
        lines.append(
            note(
                "credit",
                f"{plain(taken)} of {plain(grant.left)} credit of {instant(grant.bought_at)}",
                -taken,
            )
        )
        grant.left -= taken
        owed -= taken
    if not before:
        return []
    _pay(unpaid, owing, -sum((line.amount for line in lines), Decimal(0)))
    return [
        Due(
            part=f"{credits.slug}{USED}",
            kind="credit",
            description=f"{credits.description or 'Prepaid credit'}, used",
            start=period.start,
            end=period.end,
            due_at=period.end,
            quantity=Decimal(1),
            amount=sum((line.amount for line in lines), Decimal(0)),
            lines=tuple(lines),
            evidence={
                "credits": credits.canonical(),
                "balance": [
                    plain(before),
                    plain(sum((one.left for one in balance.usable(period.start)), Decimal(0))),
                ],
                "paid": {
                    f"{part}:{instant(start)}": plain(left) for (part, start), left in owing.items()
                },
            },
        )
    ]


def _pay(unpaid: Unpaid, owing: Iterable[tuple[str, datetime]], amount: Decimal) -> None:
    """Take `amount` off what is left of those charges, the first ones first."""
    for place in owing:
        part = min(amount, max(unpaid[place], Decimal(0)))
        unpaid[place] -= part
        amount -= part
