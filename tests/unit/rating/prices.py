"""Builds prices for tests the way a caller writes them."""

from decimal import Decimal
from typing import Any

from common.money import round_line
from rating.price import Price, read_price
from rating.prices.fields import FieldError, Fields
from rating.rate import Context, Rated, Usage, rate


def read(value: dict[str, Any]) -> tuple[Price, list[FieldError]]:
    """A price and what is wrong with it."""
    fields = Fields(value, "price", [])
    price = read_price(fields)
    fields.finish()
    return price, fields.errors


def price(**value: Any) -> Price:
    """A price that must be right."""
    made, errors = read(value)
    assert not errors
    return made


def tier(up_to: str | None, unit_amount: str = "0", flat_amount: str = "0") -> dict[str, Any]:
    return {"up_to": up_to, "unit_amount": unit_amount, "flat_amount": flat_amount}


def rated(made: Price, quantity: str | Decimal = "0", currency: str = "USD") -> Rated:
    return rate(made, Usage(Decimal(quantity)), Context(currency))


def costs(made: Price, quantity: str | Decimal, currency: str = "USD") -> str:
    """What an invoice would say."""
    return str(round_line(rated(made, quantity, currency).amount, currency))
