"""The price models. A new one is a module beside these and a line in `MODELS`."""

from typing import Final

from rating.prices.dynamic import Dynamic
from rating.prices.flat import Flat
from rating.prices.graduated import Graduated
from rating.prices.graduated_percentage import GraduatedPercentage
from rating.prices.matrix import Matrix
from rating.prices.model import PriceModel
from rating.prices.package import Package
from rating.prices.percentage import Percentage
from rating.prices.time_weighted import TimeWeighted
from rating.prices.unit import Unit
from rating.prices.volume import Volume

MODELS: Final[dict[str, type[PriceModel]]] = {
    model.name: model
    for model in (
        Flat,
        Unit,
        Graduated,
        Volume,
        Package,
        Percentage,
        GraduatedPercentage,
        Matrix,
        Dynamic,
        TimeWeighted,
    )
}
"""Every model by the name that plans give it."""
