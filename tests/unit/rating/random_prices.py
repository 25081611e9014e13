"""Random prices that a plan may hold, written as a caller would."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from common.money import plain
from rating.price import Price
from tests.unit.rating.prices import price

AMOUNTS = st.decimals(0, 10**6, places=6).map(plain)
UNITS = st.decimals("0.001", 10**6, places=3).map(plain)


def _tiers(draw: st.DrawFn) -> list[dict[str, Any]]:
    ends = sorted(draw(st.sets(st.decimals("0.01", 10**9, places=2), max_size=4)))
    return [
        {"up_to": end, "unit_amount": draw(AMOUNTS), "flat_amount": draw(AMOUNTS)}
        for end in [*map(plain, ends), None]
    ]


@st.composite
def random_prices(draw: st.DrawFn) -> Price:
    """A price of any model that needs nothing but a quantity, with modifiers."""
    model = draw(st.sampled_from(["flat", "unit", "graduated", "volume", "package", "dynamic"]))
    fields: dict[str, Any] = {"model": model}
    match model:
        case "flat":
            fields["amount"] = draw(AMOUNTS)
        case "unit":
            fields["unit_amount"] = draw(AMOUNTS)
        case "package":
            fields |= {"package_size": draw(UNITS), "amount": draw(AMOUNTS)}
        case "dynamic":
            fields["multiplier"] = draw(AMOUNTS)
        case _:
            fields["tiers"] = _tiers(draw)
    discounts = ["percent", "amount"]
    if model != "flat":
        discounts.append("quantity")
        if draw(st.booleans()):
            fields["conversion"] = {
                draw(st.sampled_from(["multiply", "divide"])): draw(UNITS),
                "rounding": draw(st.sampled_from(["none", "ceiling", "floor", "half_up"])),
                "precision": draw(st.integers(0, 6)),
            }
        for name, values in (("included", AMOUNTS), ("minimum_quantity", UNITS)):
            if draw(st.booleans()):
                fields[name] = draw(values)
    if draw(st.booleans()):
        kind = draw(st.sampled_from(discounts))
        percent = st.decimals(0, 100, places=4).map(plain)
        fields["discount"] = {kind: draw(percent if kind == "percent" else AMOUNTS)}
    bounds = sorted(draw(st.lists(AMOUNTS, max_size=2, unique=True)), key=Decimal)
    fields |= dict(zip(draw(st.permutations(["minimum", "maximum"])), bounds, strict=False))
    if len(bounds) == 2:
        fields |= {"minimum": bounds[0], "maximum": bounds[1]}
    return price(**fields)
