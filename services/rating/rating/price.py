"""A price of a plan: a model with its parameters, and what modifies it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from common.money import plain
from rating.modifiers.conversion import Conversion, read_conversion
from rating.modifiers.discount import Discount, read_discount
from rating.prices import MODELS
from rating.prices.fields import Fields, grave
from rating.prices.flat import Flat
from rating.prices.model import PriceModel

OF_THE_PLAN: Final = ("slug", "meter", "description")
"""Fields of a plan's price that say nothing about its amount."""
OF_UNITS: Final = ("conversion", "included", "rollover", "minimum_quantity")
"""Modifiers of the quantity."""


@dataclass(frozen=True)
class Price:
    """`included`: units that cost nothing, taken off the quantity before the model sees it, with
    what was left of earlier periods if `rollover`, at most `rollover_cap` of it.
    `minimum_quantity`: units that the model sees at least. `maximum`, `minimum`: of the amount."""

    model: PriceModel
    included: Decimal = Decimal(0)
    rollover: bool = False
    rollover_cap: Decimal | None = None
    conversion: Conversion | None = None
    discount: Discount | None = None
    maximum: Decimal | None = None
    minimum: Decimal | None = None
    minimum_quantity: Decimal | None = None

    def fields(self) -> dict[str, Any]:
        """Canonical: equal prices give equal values, however their decimals were written."""
        modifiers: dict[str, Any] = {"included": plain(self.included)} if self.included else {}
        if self.rollover:
            cap = self.rollover_cap
            modifiers["rollover"] = {} if cap is None else {"cap": plain(cap)}
        if self.conversion is not None:
            modifiers["conversion"] = self.conversion.fields()
        if self.discount is not None:
            modifiers["discount"] = self.discount.fields()
        for name in ("maximum", "minimum", "minimum_quantity"):
            value = getattr(self, name)
            if value is not None:
                modifiers[name] = plain(value)
        return {"model": self.model.name, **self.model.fields(), **modifiers}


def read_price(fields: Fields) -> Price:
    """The price in `fields` (model, its fields, modifiers); errors are reported there.

    The caller reads other fields that may stand in the same object, then calls `finish`.
    """
    name = fields.raw("model")
    kind = MODELS.get(name) if isinstance(name, str) else None
    if kind is None:
        said = "is missing" if name is None else f"{repr(name)[:60]} is not a price model"
        fields.refuse("model", f"{said}; known: {', '.join(MODELS)}", "unknown_model")
        fields.forgive()
        return Price(Flat(Decimal(0)))
    model = kind.read(fields)
    made = Price(
        model=model,
        discount=read_discount(fields, by_quantity=model.by_quantity),
        maximum=fields.maybe_decimal("maximum"),
        minimum=fields.maybe_decimal("minimum"),
    )
    are_right = fields.is_right("maximum") and fields.is_right("minimum")
    least, most = made.minimum, made.maximum
    if are_right and least is not None and most is not None and least > most:
        fields.refuse("minimum", f"must not be above the maximum, {plain(most)}")
    if model.by_quantity:
        return _read_units(fields, made)
    for name in OF_UNITS:
        if fields.raw(name) is not None:
            fields.refuse(
                name, f"changes a number of units; a price of model {model.name} has none"
            )
    return made


def _read_units(fields: Fields, price: Price) -> Price:
    """`price` with what modifies the quantity."""
    rollover = _rollover(fields)
    cap = None if rollover is None else rollover.maybe_decimal("cap")
    if rollover is not None:
        rollover.finish()
    return replace(
        price,
        conversion=read_conversion(fields),
        included=fields.decimal("included", default=Decimal(0)),
        rollover=rollover is not None,
        rollover_cap=cap,
        minimum_quantity=fields.maybe_decimal("minimum_quantity"),
    )


def _rollover(fields: Fields) -> Fields | None:
    """`{"cap": "5"}`; true is without a cap, false is none."""
    value = fields.raw("rollover")
    if isinstance(value, bool):
        return Fields({}, fields.path("rollover"), fields.errors) if value else None
    return fields.within("rollover")


def price_of(value: Mapping[str, Any]) -> Price:
    """The price in a definition that was accepted before."""
    fields = Fields({k: v for k, v in value.items() if k not in OF_THE_PLAN}, "", [])
    price = read_price(fields)
    fields.finish()
    if wrong := grave(fields.errors):
        raise ValueError(f"a stored price is invalid: {wrong}")
    return price
