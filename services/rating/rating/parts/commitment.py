"""A commitment: at least so much is spent in a period; what is missing is trued up at its end.

    {"slug": "minimum", "amount": "500.00", "of": ["requests", "traffic"]}

`of` lists the prices that count; all of the plan's when left out. What counts is what invoices
say: rounded amounts, before coupons. A period that is not whole owes its share, by seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from common.contracts.charges import ChargeLine
from common.events.rfc3339 import instant
from common.money import plain, round_line
from rating.exact import settle
from rating.parts.due import Due
from rating.parts.names import read_new_slug, read_slugs
from rating.parts.period import BillingPeriod, note
from rating.prices.fields import Fields
from rating.proration import Proration

COUNTED = ("fee", "usage", "quantity")
"""What counts where a commitment does not say."""


@dataclass(frozen=True)
class Commitment:
    slug: str
    amount: Decimal
    of: tuple[str, ...] | None = None
    description: str = ""

    def canonical(self) -> dict[str, Any]:
        said: dict[str, Any] = {"description": self.description} if self.description else {}
        listed = {} if self.of is None else {"of": list(self.of)}
        return {"slug": self.slug, **said, "amount": plain(self.amount), **listed}

    def counts(self, due: Due) -> bool:
        if self.of is None:
            return due.kind in COUNTED
        return due.part in self.of


def read_commitment(fields: Fields, taken: set[str]) -> Commitment:
    """The commitment in `fields`, which are finished here."""
    made = Commitment(
        slug=read_new_slug(fields, taken),
        amount=fields.decimal("amount", above_zero=True),
        of=read_slugs(fields, "of"),
        description=fields.text("description", default=""),
    )
    fields.finish()
    return made


def asked(commitment: Commitment, billing: BillingPeriod, dues: Sequence[Due]) -> list[Due]:
    """What is missing to the commitment; zero where nothing is. A trial commits to nothing."""
    if billing.is_trial:
        return []
    period = billing.period
    proration = Proration(period.start, period.end, period.whole_start, period.whole_end)
    share = proration.share()
    owed = commitment.amount if share == 1 else settle(Fraction(commitment.amount) * share)
    counted = [due for due in dues if commitment.counts(due)]
    spent = sum((due.rounded(billing.currency) for due in counted), Decimal(0))
    # Of what is spent beyond the commitment, only the commitment counts: nothing is given back.
    missing = max(Decimal(0), round_line(owed, billing.currency) - spent)
    said = f"Committed {plain(commitment.amount)}"
    said += "" if share == 1 else f" for {proration.describe()}"
    lines: list[ChargeLine] = [
        note("commitment", said, missing + spent if missing else spent),
        note("charged", f"Charged {plain(spent)} towards it", -spent),
    ]
    return [
        Due(
            part=commitment.slug,
            kind="commitment",
            description=commitment.description or "Commitment true-up",
            start=period.start,
            end=period.end,
            due_at=period.end,
            quantity=Decimal(1),
            amount=missing,
            lines=tuple(lines),
            evidence={
                "commitment": commitment.canonical(),
                "period": [instant(period.whole_start), instant(period.whole_end)],
                "counted": {
                    f"{due.part}:{instant(due.start)}": plain(due.rounded(billing.currency))
                    for due in counted
                },
            },
        )
    ]
