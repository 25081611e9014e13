"""Random prices that a plan may hold, written as a caller would."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from common.money import plain
from rating.price import Price
from tests.unit.rating.prices import price

AMOUNTS = st.decimals(0, 10**6, places=6).map(plain)
RATES = st.decimals(0, 2, places=6).map(plain)
PER = st.sampled_from(["hour", "month"])
UNITS = st.decimals("0.001", 10**6, places=3).map(plain)


def _tiers(draw: st.DrawFn, amount: str = "unit_amount") -> list[dict[str, Any]]:
    ends = sorted(draw(st.sets(st.decimals("0.01", 10**9, places=2), max_size=4)))
    return [
        {"up_to": end, amount: draw(AMOUNTS), "flat_amount": draw(AMOUNTS)}
        for end in [*map(plain, ends), None]
    ]


def _matrix(draw: st.DrawFn) -> dict[str, Any]:
    named = draw(st.lists(st.sampled_from(REGIONS), min_size=1, unique=True))
    return {
        "dimensions": ["region"],
        "default": draw(AMOUNTS),
        "cells": [{"group": {"region": name}, "unit_amount": draw(AMOUNTS)} for name in named],
    }


OF_A_QUANTITY = (
    "flat",
    "unit",
    "graduated",
    "volume",
    "package",
    "dynamic",
    "graduated_percentage",
)
OF_A_METER = (*OF_A_QUANTITY, "matrix", "percentage", "time_weighted")
REGIONS = ("eu", "us", "")


@st.composite
def random_prices(draw: st.DrawFn, models: tuple[str, ...] = OF_A_QUANTITY) -> Price:
    """A price of one of the models, with modifiers."""
    model = draw(st.sampled_from(models))
    fields: dict[str, Any] = {"model": model}
    match model:
        case "flat":
            fields["amount"] = draw(AMOUNTS)
        case "unit":
            fields["unit_amount"] = draw(AMOUNTS)
        case "package":
            fields |= {"package_size": draw(UNITS), "amount": draw(AMOUNTS)}
        case "graduated_percentage":
            fields["tiers"] = _tiers(draw, "rate")
        case "time_weighted":
            fields |= {
                "unit_amount": draw(AMOUNTS),
                "per": draw(st.sampled_from(["hour", "month"])),
            }
        case "matrix":
            fields |= _matrix(draw)
        case "percentage":
            fields |= {"rate": draw(RATES), "fixed_amount": draw(AMOUNTS)}
        case "dynamic":
            fields["multiplier"] = draw(AMOUNTS)
        case _:
            fields["tiers"] = _tiers(draw)
    discounts = ["percent", "amount"]
    if model not in ("flat", "percentage"):
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
