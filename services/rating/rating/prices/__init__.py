"""The price models. A new one is a module beside these and a line in `MODELS`."""

from typing import Final

from rating.prices.flat import Flat
from rating.prices.graduated import Graduated
from rating.prices.model import PriceModel
from rating.prices.unit import Unit

MODELS: Final[dict[str, type[PriceModel]]] = {
    model.name: model
    for model in (
        Flat,
        Unit,
        Graduated,
    )
}
"""Every model by the name that plans give it."""
