"""A one-off: an amount that is due once, when the subscription is first on the plan (or has the
add-on on), in advance and never prorated. A trial does not waive it.

    {"slug": "setup", "amount": "250.00", "description": "Setup"}
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from common.contracts.charges import ChargeLine
from common.money import plain
from rating.parts.due import Due
from rating.parts.names import read_new_slug
from rating.parts.period import BillingPeriod
from rating.prices.fields import Fields


@dataclass(frozen=True)
class OneOff:
    slug: str
    amount: Decimal
    description: str = ""
    add_on: str | None = None

    def canonical(self) -> dict[str, Any]:
        said = {"description": self.description} if self.description else {}
        return {"slug": self.slug, **said, "amount": plain(self.amount)}


def read_one_off(fields: Fields, taken: set[str], add_on: str | None = None) -> OneOff:
    """The one-off in `fields`, which are finished here."""
    made = OneOff(
        slug=read_new_slug(fields, taken),
        amount=fields.decimal("amount"),
        description=fields.text("description", default=""),
        add_on=add_on,
    )
    fields.finish()
    return made


def asked(one_off: OneOff, billing: BillingPeriod) -> list[Due]:
    """The amount, in the billing period in which it falls due."""
    if one_off.add_on is None:
        at: datetime | None = billing.entered
    else:
        at = dict(billing.add_ons_since).get(one_off.add_on)
    if at is None or not billing.contains(at):
        return []
    return [due_once(one_off, billing, at, {"one_off": one_off.canonical()})]


def due_once(
    one_off: OneOff, billing: BillingPeriod, at: datetime, evidence: dict[str, Any]
) -> Due:
    """The amount, due at `at`."""
    description = one_off.description or one_off.slug
    return Due(
        part=one_off.slug,
        kind="one_off",
        description=description,
        start=at,
        end=billing.period.end,
        due_at=at,
        quantity=Decimal(1),
        amount=one_off.amount,
        lines=(
            ChargeLine(
                kind="one_off",
                description=description,
                quantity=Decimal(1),
                unit_amount=one_off.amount,
                amount=one_off.amount,
            ),
        ),
        evidence=evidence,
    )
