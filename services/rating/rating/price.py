"""A price of a plan: a model with its parameters, and what modifies it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from common.money import plain
from rating.prices import MODELS
from rating.prices.fields import Fields
from rating.prices.flat import Flat
from rating.prices.model import PriceModel

OF_THE_PLAN: Final = ("slug", "meter", "description")
"""Fields of a plan's price that say nothing about its amount."""


@dataclass(frozen=True)
class Price:
    """`included`: units that cost nothing, taken off the quantity before the model sees it."""

    model: PriceModel
    included: Decimal = Decimal(0)

    def fields(self) -> dict[str, Any]:
        """Canonical: equal prices give equal values, however their decimals were written."""
        modifiers = {"included": plain(self.included)} if self.included else {}
        return {"model": self.model.name, **self.model.fields(), **modifiers}


def read_price(fields: Fields) -> Price:
    """The price in `fields` (model, its fields, modifiers); errors are reported there.

    The caller reads other fields that may stand in the same object, then calls `finish`.
    """
    name = fields.raw("model")
    kind = MODELS.get(name) if isinstance(name, str) else None
    if kind is None:
        fields.refuse(
            "model",
            f"{_shown(name)} is not a price model; known: {', '.join(MODELS)}",
            "unknown_model",
        )
        fields.forgive()
        return Price(Flat(Decimal(0)))
    model = kind.read(fields)
    included = fields.decimal("included", default=Decimal(0)) if model.by_quantity else Decimal(0)
    return Price(model=model, included=included)


def price_of(value: Mapping[str, Any]) -> Price:
    """The price in a definition that was accepted before."""
    fields = Fields({k: v for k, v in value.items() if k not in OF_THE_PLAN}, "", [])
    price = read_price(fields)
    fields.finish()
    if fields.errors:
        raise ValueError(f"a stored price is invalid: {fields.errors}")
    return price


def _shown(name: Any) -> str:
    return repr(name)[:60] if name is not None else "nothing"
