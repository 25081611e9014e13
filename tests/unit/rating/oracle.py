"""What a price costs, said a second time: in fractions, from the definition of each field.

Shares no code with the product, so that a mistake would have to be made twice to stay unseen. It
takes a body of `POST /v1/rate` that is known to be valid and is written for clarity, not speed.
"""

from datetime import datetime
from fractions import Fraction
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

Body = dict[str, Any]
ZERO = Fraction(0)
MINOR_DIGITS = {"JPY": 0, "USD": 2, "KWD": 3, "CLF": 4}


def exact_amount(body: Body) -> Fraction:
    """The amount before it is rounded."""
    price = body["price"]
    if "groups" in body:
        amount = by_cell(price, body)
    else:
        amount = MODELS[price["model"]](price, units(body), body)
    amount = discounted(price.get("discount"), amount)
    if price.get("maximum") is not None:
        amount = min(amount, Fraction(price["maximum"]))
    if price.get("minimum") is not None:
        amount = max(amount, Fraction(price["minimum"]))
    if price["model"] == "flat" and "proration" in body:
        amount *= covered_share(body["proration"])
    return amount


def invoiced_amount(exact: Fraction, currency: str) -> Fraction:
    """Half away from zero to the minor unit."""
    unit = Fraction(1, 10 ** MINOR_DIGITS[currency])
    minor = floor(abs(exact) / unit + Fraction(1, 2)) * unit
    return minor if exact >= 0 else -minor


def units(body: Body) -> Fraction:
    """What the model sees of the usage."""
    price = body["price"]
    left = max(ZERO, usage(body))
    if conversion := price.get("conversion"):
        left = converted(conversion, left)
    free = Fraction(price.get("included", 0))
    if (rollover := price.get("rollover")) is not None:
        carried = Fraction(body.get("rolled_over", 0))
        free += min(carried, Fraction(rollover["cap"])) if "cap" in rollover else carried
    left = max(ZERO, left - free)
    left = max(ZERO, left - Fraction(price.get("discount", {}).get("quantity", 0)))
    return max(left, Fraction(price.get("minimum_quantity", 0)))


def by_cell(price: Body, body: Body) -> Fraction:
    """A matrix over usage in several groups: cell after cell as listed, then the default."""
    named = [cell["group"] for cell in price["cells"]]
    prices = [Fraction(cell["unit_amount"]) for cell in price["cells"]] + [
        Fraction(price["default"])
    ]
    sums: list[Fraction | None] = [None] * len(prices)
    for one in body["groups"]:
        group = {name: one["group"].get(name, "") for name in price["dimensions"]}
        place = named.index(group) if group in named else len(named)
        sums[place] = (sums[place] or ZERO) + Fraction(one["quantity"])
    used = [place for place, found in enumerate(sums) if found is not None]
    left = {place: max(ZERO, sums[place] or ZERO) for place in used}
    if conversion := price.get("conversion"):
        left = {place: converted(conversion, found) for place, found in left.items()}
    free = Fraction(price.get("included", 0))
    if (rollover := price.get("rollover")) is not None:
        carried = Fraction(body.get("rolled_over", 0))
        free += min(carried, Fraction(rollover["cap"])) if "cap" in rollover else carried
    for less in (free, Fraction(price.get("discount", {}).get("quantity", 0))):
        for place in used:
            taken = min(less, left[place])
            left[place] -= taken
            less -= taken
    missing = Fraction(price.get("minimum_quantity", 0)) - sum(left.values())
    left[used[0]] += max(ZERO, missing)
    return sum((left[place] * prices[place] for place in used), ZERO)


def usage(body: Body) -> Fraction:
    """The quantity, or what the events say where the model is about them."""
    events = body.get("events", [])
    model = body["price"]["model"]
    if events and model == "time_weighted":
        return sum((held_hours(event, body["proration"]) for event in events), ZERO)
    if events and model in ("dynamic", "graduated_percentage"):
        return sum((Fraction(event["amount"]) for event in events), ZERO)
    return Fraction(body.get("quantity", 0))


def held_hours(event: Body, proration: Body) -> Fraction:
    """The unit-hours that a change of a gauge makes until the service ends."""
    since = max(instant(event["time"]), instant(proration["service_from"]))
    until = instant(proration["service_to"])
    return Fraction(event["amount"]) * max(0, seconds(since, until)) / 3600


def converted(conversion: Body, quantity: Fraction) -> Fraction:
    if "divide" in conversion:
        result = quantity / Fraction(conversion["divide"])
    else:
        result = quantity * Fraction(conversion["multiply"])
    step = Fraction(1, 10 ** int(conversion.get("precision", 0)))
    match conversion.get("rounding", "none"):
        case "ceiling":
            return ceil(result / step) * step
        case "floor":
            return floor(result / step) * step
        case "half_up":
            return floor(result / step + Fraction(1, 2)) * step
    return result


def discounted(discount: Body | None, amount: Fraction) -> Fraction:
    if discount and "percent" in discount:
        return amount * (100 - Fraction(discount["percent"])) / 100
    if discount and "amount" in discount:
        return max(ZERO, amount - Fraction(discount["amount"]))
    return amount


def covered_share(proration: Body) -> Fraction:
    """The part of the period that the service covers."""
    edges = ("service_from", "service_to", "period_from", "period_to")
    start, end, whole_start, whole_end = (instant(proration[name]) for name in edges)
    if proration.get("granularity") == "day":
        zone = ZoneInfo(proration.get("time_zone", "UTC"))
        one, two, three, four = (
            at.astimezone(zone).date().toordinal() for at in (start, end, whole_start, whole_end)
        )
        return Fraction(two - one, four - three)
    return Fraction(seconds(start, end), seconds(whole_start, whole_end))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def seconds(start: datetime, end: datetime) -> int:
    return int(end.timestamp()) - int(start.timestamp())


def flat(price: Body, quantity: Fraction, body: Body) -> Fraction:
    return Fraction(price["amount"])


def unit(price: Body, quantity: Fraction, body: Body) -> Fraction:
    return quantity * Fraction(price["unit_amount"])


def graduated(price: Body, quantity: Fraction, body: Body) -> Fraction:
    total, reached = ZERO, ZERO
    for index, tier in enumerate(price["tiers"]):
        if index and quantity <= reached:
            break
        end = quantity if tier["up_to"] is None else min(quantity, Fraction(tier["up_to"]))
        total += (end - reached) * per_unit(tier) + Fraction(tier.get("flat_amount", 0))
        reached = end
    return total


def volume(price: Body, quantity: Fraction, body: Body) -> Fraction:
    for tier in price["tiers"]:
        if tier["up_to"] is None or quantity <= Fraction(tier["up_to"]):
            return quantity * per_unit(tier) + Fraction(tier.get("flat_amount", 0))
    raise AssertionError("the last tier is open")


def per_unit(tier: Body) -> Fraction:
    return Fraction(tier["rate"] if "rate" in tier else tier.get("unit_amount", 0))


def package(price: Body, quantity: Fraction, body: Body) -> Fraction:
    return ceil(quantity / Fraction(price["package_size"])) * Fraction(price["amount"])


def percentage(price: Body, quantity: Fraction, body: Body) -> Fraction:
    amounts = [Fraction(event["amount"]) for event in body.get("events", [])]
    if not amounts and quantity:
        amounts = [quantity]
    free_events = int(price.get("free_events") or 0)
    free_amount = Fraction(price.get("free_amount") or 0)
    total, seen = ZERO, ZERO
    for index, amount in enumerate(amounts):
        before, seen = seen, seen + amount
        still_free = bool(free_events or free_amount)
        if free_events and index >= free_events:
            still_free = False
        if free_amount and before >= free_amount:
            still_free = False
        paying = amount
        if still_free:
            paying = max(ZERO, seen - free_amount) if free_amount else ZERO
            if not paying:
                continue
        cost = paying * Fraction(price["rate"]) + Fraction(price.get("fixed_amount", 0))
        if price.get("min_per_event") is not None:
            cost = max(cost, Fraction(price["min_per_event"]))
        if price.get("max_per_event") is not None:
            cost = min(cost, Fraction(price["max_per_event"]))
        total += cost
    return total


def matrix(price: Body, quantity: Fraction, body: Body) -> Fraction:
    group = {name: body.get("group", {}).get(name, "") for name in price["dimensions"]}
    matching = [cell for cell in price["cells"] if cell["group"] == group]
    return quantity * Fraction(matching[0]["unit_amount"] if matching else price["default"])


def dynamic(price: Body, quantity: Fraction, body: Body) -> Fraction:
    return quantity * Fraction(price["multiplier"])


def time_weighted(price: Body, quantity: Fraction, body: Body) -> Fraction:
    cost = quantity * Fraction(price["unit_amount"])
    if price["per"] == "month":
        proration = body["proration"]
        cost /= Fraction(
            seconds(instant(proration["period_from"]), instant(proration["period_to"])), 3600
        )
    return cost


MODELS = {
    "flat": flat,
    "unit": unit,
    "graduated": graduated,
    "graduated_percentage": graduated,
    "volume": volume,
    "package": package,
    "percentage": percentage,
    "matrix": matrix,
    "dynamic": dynamic,
    "time_weighted": time_weighted,
}
