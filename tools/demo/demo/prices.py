"""What the usage costs: computed from the catalog with fractions, beside the product's engine.

Deliberately written another way than the rating service: fractions instead of decimals, and no
code shared, so that an error in one shows as a difference.
"""

from calendar import monthrange
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

DECIMALS = {"EUR": 2, "USD": 2, "JPY": 0}


def amount(price: dict[str, Any], quantity: Decimal, share: Fraction) -> Fraction:
    """The exact amount of a price. `share`: the part of the period that a fee is due for."""
    used = Fraction(quantity)
    match price["model"]:
        case "flat":
            return Fraction(price["amount"]) * share
        case "unit":
            return Fraction(price["unit_amount"]) * used
        case "graduated":
            return _graduated(price["tiers"], used)
        case model:
            raise ValueError(f"the demo does not know the price model {model}")


def _graduated(tiers: list[dict[str, Any]], used: Fraction) -> Fraction:
    total, below = Fraction(0), Fraction(0)
    for index, tier in enumerate(tiers):
        if index and used <= below:
            break
        top = used if tier["up_to"] is None else min(used, Fraction(tier["up_to"]))
        total += Fraction(tier["flat_amount"]) + (top - below) * Fraction(tier["unit_amount"])
        below = top if tier["up_to"] is None else Fraction(tier["up_to"])
    return total


def rounded(exact: Fraction, currency: str) -> Decimal:
    """Half away from zero to the currency's decimals."""
    digits = DECIMALS[currency]
    units = floor(abs(exact) * 10**digits + Fraction(1, 2))
    return Decimal(units if exact >= 0 else -units).scaleb(-digits)


def fee_share(start: datetime, end: datetime, billing_day: int, zone: str) -> Fraction:
    """How much of its calendar month [`start`, `end`) is, by seconds. The month begins on
    `billing_day` at local midnight, and `start` lies in it."""
    local = start.astimezone(ZoneInfo(zone))
    begin = local.replace(day=billing_day, hour=0, minute=0, second=0, microsecond=0)
    year, month = (begin.year + begin.month // 12, begin.month % 12 + 1)
    last_day = monthrange(year, month)[1]
    following = begin.replace(year=year, month=month, day=min(billing_day, last_day))
    whole = following.timestamp() - begin.timestamp()
    return Fraction((end - start) // timedelta(microseconds=1), int(whole) * 1_000_000)
