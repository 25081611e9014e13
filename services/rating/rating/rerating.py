"""What a re-rating would do: each charge before and after, and whether that is still so. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from common.contracts.charges import Charge
from common.money import plain, round_line
from rating.charging import changes, withdraw

_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode


class Repriced(NamedTuple):
    """A charge whose amount changes. `before`: None where there was no such charge."""

    before: Charge | None
    after: Charge

    @property
    def invoiced_before(self) -> Decimal:
        """What invoices say of it without the change."""
        amount = Decimal(0) if self.before is None else self.before.amount
        return round_line(amount, self.after.currency)

    @property
    def invoiced_after(self) -> Decimal:
        """What invoices say of it with the change."""
        return round_line(self.after.amount, self.after.currency)

    @property
    def difference(self) -> Decimal:
        """What the next invoice says of it."""
        return self.invoiced_after - self.invoiced_before


def repriced(known: Mapping[str, Charge], made: Sequence[Charge]) -> list[Repriced]:
    """The charges whose amount changes when what is `known` of some periods becomes what was
    `made` of them; those that are gone owe nothing any more. By tenant, period and price."""
    ids = {charge.id for charge in made}
    gone = [withdraw(charge) for charge in known.values() if charge.id not in ids]
    found = [Repriced(known.get(charge.id), charge) for charge in changes(known, [*made, *gone])]
    differing = [
        one for one in found if one.before is None or one.before.amount != one.after.amount
    ]
    return sorted(differing, key=_place)


def digest(lines: Iterable[Repriced], *, by: datetime) -> bytes:
    """Tells whether a re-rating would still do the same to the charges that were due `by` the time
    of its preview: usage of a period that ran then goes on arriving, and nobody approves its
    amount."""
    made = sha256()
    for line in lines:
        if line.after.due <= by:
            before = None if line.before is None else _said(line.before)
            made.update(_encode([before, _said(line.after)]))
    return made.digest()


def summary(lines: Sequence[Repriced]) -> dict[str, Any]:
    """Totals by currency, as JSON."""
    totals: dict[str, dict[str, Any]] = {}
    for currency in sorted({line.after.currency for line in lines}):
        those = [line for line in lines if line.after.currency == currency]
        totals[currency] = {
            "difference": plain(sum((line.difference for line in those), Decimal(0))),
            "up": plain(sum((max(line.difference, Decimal(0)) for line in those), Decimal(0))),
            "down": plain(sum((min(line.difference, Decimal(0)) for line in those), Decimal(0))),
            "charges": len(those),
            "tenants": len({line.after.tenant for line in those}),
        }
    return {"totals": totals, "charges": len(lines)}


def _place(line: Repriced) -> tuple[Any, ...]:
    after = line.after
    return after.tenant, after.period_from, after.price, after.id


def _said(charge: Charge) -> tuple[Any, ...]:
    return charge.id, charge.quantity, charge.amount, charge.plan, charge.plan_version
