"""Random valid bodies of `POST /v1/rate`: every model, every modifier, awkward numbers.

From a seeded generator, so that a case that fails is found again by its number.
"""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.unit.rating.oracle import MINOR_DIGITS

Body = dict[str, Any]
CURRENCIES = ("JPY", "USD", "USD", "KWD", "CLF")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
MODELS = (
    "flat",
    "unit",
    "graduated",
    "volume",
    "package",
    "percentage",
    "graduated_percentage",
    "matrix",
    "dynamic",
    "time_weighted",
)
BY_EVENT = ("percentage", "dynamic", "graduated_percentage")


def random_body(seed: int) -> Body:
    """The body number `seed`."""
    dice = Random(seed)
    model = MODELS[seed % len(MODELS)]
    body: Body = {
        "currency": dice.choice(CURRENCIES),
        "price": {"model": model, **_fields(dice, model), **_bounds(dice)},
        "quantity": _quantity(dice),
    }
    if model not in ("flat", "percentage"):
        _modify_units(dice, body)
    if model == "matrix" and dice.random() < 0.5:
        body["group"] = _group(dice)
    elif model == "matrix":
        del body["quantity"]
        body["groups"] = [
            {"group": _group(dice), "quantity": _quantity(dice)} for _ in range(dice.randint(1, 8))
        ]
    if model in BY_EVENT and dice.random() < 0.6:
        body["events"] = [{"amount": _amount(dice)} for _ in range(dice.randint(1, 6))]
    if model == "time_weighted" or dice.random() < 0.3:
        body["proration"] = _proration(dice)
    if model == "time_weighted" and dice.random() < 0.7:
        body["events"] = _changes(dice, body["proration"])
    if dice.random() < 0.3:
        body["invoiced"] = _digits(dice, 19, MINOR_DIGITS[body["currency"]])
    return body


def _digits(dice: Random, whole: int, decimals: int) -> str:
    """Below 10^whole, often with fewer digits, often with a 5 at the end."""
    above = str(dice.randrange(10 ** dice.randint(0, whole)))
    places = dice.randint(0, decimals)
    if not places:
        return above
    below = f"{dice.randrange(10**places):0{places}}"
    return f"{above}.{below[:-1]}5" if dice.random() < 0.4 else f"{above}.{below}"


def _amount(dice: Random) -> str:
    kind = dice.random()
    if kind < 0.2:
        return dice.choice(("0", "1", "0.5", "0.005", "0.01", "0.0005", "10", "100", "1e-12"))
    if kind < 0.9:
        return _digits(dice, 4, 6)
    return _digits(dice, 19, 18)


def _quantity(dice: Random) -> str:
    kind = dice.random()
    if kind < 0.15:
        return dice.choice(("0", "1", "5", "10", "10.000001", "1e18", "-3"))
    if kind < 0.85:
        return _digits(dice, 6, 4)
    return _digits(dice, 40, 30)


def _above_zero(dice: Random) -> str:
    return dice.choice(("3", "7", "10", "1000", "1024", "0.1", "2.5", f"{dice.randint(1, 10**6)}"))


def _fields(dice: Random, model: str) -> Body:
    match model:
        case "flat":
            return {"amount": _amount(dice)}
        case "unit":
            return {"unit_amount": _amount(dice)}
        case "graduated" | "volume":
            return {"tiers": _tiers(dice, "unit_amount")}
        case "graduated_percentage":
            return {"tiers": _tiers(dice, "rate")}
        case "package":
            return {"package_size": _above_zero(dice), "amount": _amount(dice)}
        case "percentage":
            return _percentage(dice)
        case "matrix":
            return _matrix(dice)
        case "dynamic":
            return {"multiplier": _amount(dice)}
    return {"unit_amount": _amount(dice), "per": dice.choice(("hour", "month"))}


def _tiers(dice: Random, amount: str) -> list[Body]:
    ends = sorted({dice.randint(1, 10 ** dice.randint(1, 7)) for _ in range(dice.randint(0, 6))})
    scale = dice.choice(("", "", ".5", ".001"))
    tiers: list[Body] = [{"up_to": f"{end}{scale}"} for end in ends] + [{"up_to": None}]
    for tier in tiers:
        if dice.random() < 0.9:
            tier[amount] = _amount(dice)
        if dice.random() < 0.5:
            tier["flat_amount"] = _amount(dice)
    return tiers


def _percentage(dice: Random) -> Body:
    fields: Body = {"rate": _digits(dice, 1, 6)}
    if dice.random() < 0.7:
        fields["fixed_amount"] = _amount(dice)
    if dice.random() < 0.5:
        fields["free_events"] = dice.choice((0, 1, 2, 3, "4"))
    if dice.random() < 0.5:
        fields["free_amount"] = dice.choice(("0", _amount(dice), "250"))
    low, high = sorted((dice.randint(0, 50), dice.randint(0, 50)))
    if dice.random() < 0.4:
        fields["min_per_event"] = f"{low}.05"
    if dice.random() < 0.4:
        fields["max_per_event"] = f"{high}.5"
    return fields


def _matrix(dice: Random) -> Body:
    groups = [{"region": region, "zone": zone} for region in ("eu", "") for zone in ("a", "b")]
    cells = dice.sample(groups, dice.randint(1, len(groups)))
    return {
        "dimensions": ["region", "zone"],
        "default": _amount(dice),
        "cells": [{"group": group, "unit_amount": _amount(dice)} for group in cells],
    }


def _group(dice: Random) -> Body:
    return {"region": dice.choice(("eu", "us", "")), "zone": dice.choice(("a", "b"))}


def _bounds(dice: Random) -> Body:
    bounds: Body = {}
    if dice.random() < 0.3:
        percent = dice.choice(("0", "12.5", "33.333333", "50", "100"))
        bounds["discount"] = dice.choice(({"percent": percent}, {"amount": _amount(dice)}))
    low, high = sorted((dice.randint(0, 2000), dice.randint(0, 2000)))
    if dice.random() < 0.25:
        bounds["maximum"] = f"{high}.995"
    if dice.random() < 0.25:
        bounds["minimum"] = f"{low}.005"
    return bounds


def _modify_units(dice: Random, body: Body) -> None:
    price = body["price"]
    if dice.random() < 0.3:
        conversion: Body = {dice.choice(("multiply", "divide")): _above_zero(dice)}
        if dice.random() < 0.7:
            conversion["rounding"] = dice.choice(("none", "ceiling", "floor", "half_up"))
            conversion["precision"] = dice.choice((0, 1, 2, 6, 18))
        price["conversion"] = conversion
    if dice.random() < 0.3:
        price["included"] = _amount(dice)
    if dice.random() < 0.15:
        price["rollover"] = dice.choice(({}, {"cap": _amount(dice)}))
        body["rolled_over"] = _amount(dice)
    if dice.random() < 0.1:
        price["discount"] = {"quantity": _amount(dice)}
    if dice.random() < 0.1:
        price["minimum_quantity"] = _amount(dice)


def _proration(dice: Random) -> Body:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=dice.randint(0, 9000))
    length = dice.choice((28, 30, 31, 90, 365)) * 86_400 + dice.choice((0, 0, 3600, -3600, 17))
    one, two = sorted((dice.randint(0, length), dice.randint(0, length)))
    if dice.random() < 0.3:
        one, two = dice.choice(((0, length), (0, two), (one, length), (one, one)))
    edges = {"service_from": one, "service_to": two, "period_from": 0, "period_to": length}
    made: Body = {
        name: (start + timedelta(seconds=edge)).isoformat().replace("+00:00", "Z")
        for name, edge in edges.items()
    }
    if dice.random() < 0.5:
        made |= {"granularity": dice.choice(("second", "day")), "time_zone": dice.choice(ZONES)}
    return made


def _changes(dice: Random, proration: Body) -> list[Body]:
    start = datetime.fromisoformat(proration["period_from"])
    changes = []
    for _ in range(dice.randint(1, 5)):
        at = start + timedelta(seconds=dice.randint(-86_400, 40 * 86_400))
        sign = dice.choice(("", "", "-"))
        time = at.isoformat().replace("+00:00", "Z")
        changes.append({"amount": f"{sign}{_amount(dice)}", "time": time})
    return changes
