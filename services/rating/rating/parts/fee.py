"""A subscription fee: an amount a period, in advance or in arrears, prorated by seconds.

{"slug": "base", "model": "flat", "amount": "49.00", "billed": "advance"}
"""

from decimal import Decimal

from common.events.rfc3339 import instant
from rating.parts.due import Due
from rating.parts.period import BillingPeriod
from rating.parts.price import PlanPrice
from rating.proration import Proration
from rating.rate import Context, Usage, rate


def asked(price: PlanPrice, billing: BillingPeriod) -> list[Due]:
    """The fee, for what the service has of the whole period."""
    period = billing.period
    made = []
    for start, end in billing.held(price.add_on, price.window):
        proration = Proration(start, end, period.whole_start, period.whole_end)
        rated = rate(price.price, Usage(), Context(billing.currency, proration)).settled()
        made.append(
            Due(
                part=price.slug,
                kind="fee",
                description=price.description,
                start=start,
                end=end,
                due_at=start if price.billed == "advance" else period.end,
                quantity=Decimal(1),
                amount=rated.amount,
                lines=rated.lines,
                evidence={
                    "price": price.price.fields(),
                    "period": [instant(period.whole_start), instant(period.whole_end)],
                },
            )
        )
    return made
