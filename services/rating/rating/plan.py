"""Plans: a named list of prices in one currency. Versions never change once published."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.money import UnknownCurrency, exponent
from rating.price import Price, read_price
from rating.prices.fields import FieldError, Fields

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
SLUG_RULE: Final = (
    "must be 1 to 63 of a-z, 0-9, point, dash and underscore, and begin with a letter or digit"
)
INTERVALS: Final = ("month",)
MAX_PRICES: Final = 100


@dataclass(frozen=True)
class PlanPrice:
    """`meter`: whose usage is priced; None for a fee. `slug` is unique in its plan."""

    slug: str
    meter: str | None
    description: str
    price: Price

    def canonical(self) -> dict[str, Any]:
        return {
            "slug": self.slug,
            "meter": self.meter,
            "description": self.description,
            **self.price.fields(),
        }


@dataclass(frozen=True)
class Plan:
    """What a plan's version says."""

    name: str
    currency: str
    interval: str
    prices: tuple[PlanPrice, ...]

    def canonical(self) -> dict[str, Any]:
        """Equal plans give equal values, however their decimals were written."""
        return {
            "name": self.name,
            "currency": self.currency,
            "interval": self.interval,
            "prices": [price.canonical() for price in self.prices],
        }

    @property
    def meters(self) -> set[str]:
        """The meters that the plan prices."""
        return {price.meter for price in self.prices if price.meter is not None}


def read_plan(body: Mapping[str, Any]) -> tuple[Plan, list[FieldError]]:
    """The plan that a body of `{"name", "currency", "interval", "prices"}` describes, and all
    that is wrong with it. Whether its meters exist is not known here."""
    fields = Fields(body, "", [])
    name = fields.text("name")
    currency = fields.text("currency", max_length=3)
    problem = currency_problem(currency) if currency else None
    if problem:
        fields.refuse("currency", problem, "unknown_currency")
    interval = fields.text("interval", default="month")
    if interval not in INTERVALS:
        fields.refuse("interval", f"must be one of: {', '.join(INTERVALS)}")
    prices: list[PlanPrice] = []
    for item in fields.objects("prices", max_items=MAX_PRICES):
        prices.append(_read_plan_price(item, {price.slug for price in prices}))
    fields.finish()
    return Plan(name, currency, interval, tuple(prices)), fields.errors


def currency_problem(currency: str) -> str | None:
    """What is wrong with a currency code, or None."""
    try:
        exponent(currency)
    except UnknownCurrency as error:
        return str(error)
    return None


def _read_plan_price(fields: Fields, taken: set[str]) -> PlanPrice:
    slug = fields.text("slug", max_length=63)
    if slug and not SLUG.fullmatch(slug):
        fields.refuse("slug", SLUG_RULE)
    elif slug in taken:
        fields.refuse("slug", f"{slug} names another price of the plan already")
    description = fields.text("description", default="")
    meter = fields.raw("meter")
    known = len(fields.errors)
    price = read_price(fields)
    if price.model.needs is not None:
        fields.refuse(
            "model",
            f"a plan cannot price {price.model.name} yet: its usage arrives without the "
            f"{price.model.needs} that this model looks at",
            "unsupported_model",
        )
    if price.rollover:
        fields.refuse(
            "rollover",
            "a plan cannot roll units over yet: earlier periods' leftovers are not kept",
            "unsupported_model",
        )
    if meter is not None and (not isinstance(meter, str) or not meter):
        fields.refuse("meter", "must be a meter's slug, or null for a fee")
        meter = None
    elif price.model.metered and meter is None and len(fields.errors) == known:
        fields.refuse("meter", f"a price of model {price.model.name} needs a meter")
    elif not price.model.metered and meter is not None and len(fields.errors) == known:
        fields.refuse("meter", f"a price of model {price.model.name} is a fee: leave meter out")
    fields.finish()
    return PlanPrice(slug=slug, meter=meter, description=description, price=price)
