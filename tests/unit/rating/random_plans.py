"""Random plans with every kind of part, written as a caller would."""

from typing import Any

from hypothesis import strategies as st

from tests.unit.rating.random_prices import (
    AMOUNTS,
    OF_A_METER,
    OF_A_QUANTITY,
    UNITS,
    random_prices,
)

POSITIVE = UNITS
MONEY = ("amount", "unit_amount", "tiers", "multiplier", "default", "cells", "rate")
TIMES = st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-15T12:30:00Z"])


@st.composite
def random_plans(draw: st.DrawFn) -> dict[str, Any]:
    """A body that must be right."""
    prices = [_price(draw, f"p{number}") for number in range(draw(st.integers(1, 4)))]
    slugs = [price["slug"] for price in prices]
    arrears = [price["slug"] for price in prices if price.get("billed") != "advance"]
    body: dict[str, Any] = {"name": "Plan", "currency": "USD", "prices": prices}
    body["interval"] = draw(
        st.sampled_from(["month", "quarter", "year", {"weeks": 2}, {"days": 10}, {"hours": 36}])
    )
    if draw(st.booleans()):
        body["alignment"] = draw(st.sampled_from(["calendar", "anniversary"]))
    if draw(st.booleans()):
        body["effective_from"] = draw(TIMES)
    if draw(st.booleans()):
        body["trial"] = {"days": draw(st.integers(1, 60)), "covers": draw(_COVERS)}
    if draw(st.booleans()):
        body["one_offs"] = [{"slug": "setup", "amount": draw(AMOUNTS), "description": "Setup"}]
    if draw(st.booleans()):
        of = {"of": draw(_some(slugs))} if draw(st.booleans()) else {}
        body["commitments"] = [{"slug": "minimum", "amount": draw(POSITIVE), **of}]
    if draw(st.booleans()):
        slugs_of_credits = ("pack", "second-pack")[: draw(st.integers(1, 2))]
        body["credits"] = [_credits(draw, slug, arrears) for slug in slugs_of_credits]
    if draw(st.booleans()):
        percent = {"percent": draw(st.integers(1, 100).map(str))}
        off = draw(st.sampled_from([percent, {"amount": draw(POSITIVE)}]))
        body["coupons"] = [{"slug": "welcome", "periods": draw(st.integers(1, 9)), **off}]
    if draw(st.booleans()):
        add_on = {"slug": "backup", "name": "Backup", "prices": [_price(draw, "backup-price")]}
        body["add_ons"] = [add_on]
    if body["interval"] != "month":
        _by_the_hour(body)
    if draw(st.booleans()):
        body["currencies"] = {"EUR": _in_euro(body)}
    return body


_COVERS = st.sampled_from(["all", "fees"])


def _some(slugs: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(slugs), min_size=1, unique=True)


def _credits(draw: st.DrawFn, slug: str, arrears: list[str]) -> dict[str, Any]:
    of = {"of": draw(_some(arrears))} if arrears and draw(st.booleans()) else {}
    return {
        "slug": slug,
        "amount": draw(POSITIVE),
        "price": draw(AMOUNTS),
        "every": draw(st.sampled_from(["period", "once"])),
        "expires_after": draw(st.integers(1, 5)),
        **of,
    }


def _price(draw: st.DrawFn, slug: str) -> dict[str, Any]:
    made = {"slug": slug, **draw(random_prices(OF_A_METER)).fields()}
    if made["model"] == "flat":
        made["billed"] = draw(st.sampled_from(["advance", "arrears"]))
    elif made["model"] not in OF_A_QUANTITY or draw(st.booleans()):
        made["meter"] = draw(st.sampled_from(["requests", "bytes"]))
    else:
        made["quantity"] = "seats"
        made["billed"] = draw(st.sampled_from(["advance", "arrears"]))
    if draw(st.booleans()):
        made["description"] = "A price"
    if draw(st.booleans()):
        made["from"] = draw(TIMES)
    return made


def _prices_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [*body["prices"], *(p for add_on in body.get("add_ons", []) for p in add_on["prices"])]


def _by_the_hour(body: dict[str, Any]) -> None:
    """Levels have no price of a month where the billing period is none."""
    for price in _prices_of(body):
        if "per" in price:
            price["per"] = "hour"


def _in_euro(body: dict[str, Any]) -> dict[str, Any]:
    """The same amounts, said again."""
    said: dict[str, Any] = {}
    for price in _prices_of(body):
        money = {name: value for name, value in price.items() if name in MONEY}
        said[price["slug"]] = money
    for section in ("one_offs", "commitments", "credits", "coupons"):
        for part in body.get(section, []):
            if "amount" in part:
                said[part["slug"]] = {"amount": part["amount"]}
    return said
