"""A price of a plan: of the usage of a meter, of a quantity such as seats, or a fee.

{"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.002"}
{"slug": "seats", "quantity": "seats", "model": "unit", "unit_amount": "12", "billed": "advance"}
{"slug": "base", "model": "flat", "amount": "49.00", "billed": "advance"}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from common.money import plain
from rating.parts.due import Billed
from rating.parts.names import read_new_slug, read_slug
from rating.parts.window import ALWAYS, Window, read_window
from rating.price import Price, read_price
from rating.prices.fields import Fields
from rating.prices.percentage import Percentage

BILLED: Final[tuple[Billed, ...]] = ("arrears", "advance")
IDENTITY: Final = (
    "slug",
    "meter",
    "quantity",
    "description",
    "billed",
    "default_quantity",
    "from",
    "until",
)
"""Fields that stay when a price is overridden by another model."""

_BY_EVENT: Final = {
    "free_events": "a plan knows only the sum and the number of events: instead, take the fixed "
    "amounts of so many events off with a discount of an amount",
    "free_amount": "a plan knows only the sum and the number of events: to make the first part of "
    "the sum free, use graduated_percentage with a first tier of rate 0",
    "min_per_event": "a plan knows only the sum and the number of events: use fixed_amount for "
    "what each costs, or send the events' fees, already bounded, to a sum meter priced by dynamic",
    "max_per_event": "a plan knows only the sum and the number of events: use maximum for the "
    "whole period, or send the events' fees, already bounded, to a sum meter priced by dynamic",
}
"""Why a plan cannot have what looks at each event's amount, and what can be done instead."""


@dataclass(frozen=True)
class PlanPrice:
    """`meter`: whose usage is priced. `quantity`: which quantity of the subscription is priced,
    `default_quantity` where it sets none. Neither: a fee. `slug` is unique in its plan."""

    slug: str
    meter: str | None
    description: str
    price: Price
    quantity: str | None = None
    default_quantity: Decimal = Decimal(1)
    billed: Billed = "arrears"
    window: Window = ALWAYS
    add_on: str | None = None

    @property
    def kind(self) -> Literal["fee", "usage", "quantity"]:
        if self.meter is not None:
            return "usage"
        return "fee" if self.quantity is None else "quantity"

    @property
    def holds_levels(self) -> bool:
        """Whether what it costs is known only when it has ended, though nothing is used."""
        return self.price.model.needs == "changes"

    def canonical(self) -> dict[str, Any]:
        named = {"slug": self.slug, "meter": self.meter, "quantity": self.quantity}
        said = {name: value for name, value in named.items() if value is not None}
        if self.description:
            said["description"] = self.description
        if self.billed != "arrears":
            said["billed"] = self.billed
        if self.quantity is not None and self.default_quantity != 1:
            said["default_quantity"] = plain(self.default_quantity)
        return {**said, **self.window.fields(), **self.price.fields()}


def read_plan_price(fields: Fields, taken: set[str], add_on: str | None = None) -> PlanPrice:
    """The price in `fields`, which are finished here."""
    slug = read_new_slug(fields, taken)
    description = fields.text("description", default="")
    meter = _meter(fields)
    quantity = read_slug(fields, "quantity") if fields.raw("quantity") is not None else None
    billed = fields.choice("billed", BILLED, default="arrears")
    default = fields.maybe_decimal("default_quantity")
    window = read_window(fields)
    known = len(fields.errors)
    price = read_price(fields)
    if len(fields.errors) == known:
        _check_subject(fields, price, meter, quantity, billed)
        if default is not None and quantity is None:
            fields.refuse("default_quantity", "is for a price of a quantity")
    fields.finish()
    return PlanPrice(
        slug=slug,
        meter=meter,
        description=description,
        price=price,
        quantity=quantity or None,
        default_quantity=Decimal(1) if default is None else default,
        billed="advance" if billed == "advance" else "arrears",
        window=window,
        add_on=add_on,
    )


def _meter(fields: Fields) -> str | None:
    meter = fields.raw("meter")
    if meter is not None and (not isinstance(meter, str) or not meter):
        fields.refuse("meter", "must be a meter's slug, or null for a fee")
        return None
    return meter


def _check_subject(
    fields: Fields, price: Price, meter: str | None, quantity: str | None, billed: str
) -> None:
    """Whether the model fits what it prices."""
    model = price.model
    if model.needs is not None and meter is None and quantity is not None:
        fields.refuse(
            "model",
            f"a price of model {model.name} is of the usage of a meter, not of a quantity",
            "unsupported_model",
        )
    for name in model.by_event if isinstance(model, Percentage) else ():
        fields.refuse(name, _BY_EVENT[name], "unsupported_model")
    if price.rollover and meter is None:
        fields.refuse("rollover", "only what a meter counts can leave units over")
    if meter is not None and quantity is not None:
        fields.refuse("quantity", "a price is of a meter or of a quantity, not of both")
    elif model.metered and meter is None and quantity is None:
        fields.refuse("meter", f"a price of model {model.name} needs a meter or a quantity")
    elif not model.metered and meter is not None:
        fields.refuse("meter", f"a price of model {model.name} is a fee: leave meter out")
    elif not model.metered and quantity is not None:
        fields.refuse("quantity", f"a price of model {model.name} is a fee: leave quantity out")
    if meter is not None and billed == "advance":
        fields.refuse("billed", "usage is known when it was used: it is billed in arrears")


def overridden(price: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A price as its author wrote it, with some fields replaced; with another `model`, all that
    make up its amount."""
    kept = dict(price)
    if "model" in fields and fields["model"] != price.get("model"):
        kept = {name: value for name, value in price.items() if name in IDENTITY}
    return {**kept, **fields}
