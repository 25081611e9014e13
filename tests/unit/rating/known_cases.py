"""Cases whose answers are known from other billing engines, computed again by hand.

Each is told once, as the body of `POST /v1/rate`; `rated` gives the same to the pure function
without the API's reading of bodies, so that each of the two ways can fail alone.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any

from rating.prices.model import Seen
from rating.proration import Proration
from rating.rate import Context, Rated, Usage, rate
from tests.unit.rating.prices import price


@dataclass(frozen=True)
class Case:
    """What a price costs: `amount`, and `due` when `invoiced` was billed before."""

    price: dict[str, Any]
    quantity: str
    amount: str
    due: str | None = None
    invoiced: str = "0"
    currency: str = "USD"
    more: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return self.name or f"{self.price['model']} {self.quantity} -> {self.due or self.amount}"

    def body(self) -> dict[str, Any]:
        """The request."""
        return {
            "currency": self.currency,
            "price": self.price,
            "quantity": self.quantity,
            "invoiced": self.invoiced,
            **self.more,
        }

    def rated(self) -> Rated:
        """By the pure function alone."""
        proration = None
        if "proration" in self.more:
            given = dict(self.more["proration"])
            zone, granularity = given.pop("time_zone", "UTC"), given.pop("granularity", "second")
            instants = {name: datetime.fromisoformat(at) for name, at in given.items()}
            proration = Proration(**instants, time_zone=zone, granularity=granularity)
        usage = Usage(
            Decimal(self.quantity),
            Seen(group=self.more.get("group", {})),
            rolled_over=Decimal(self.more.get("rolled_over", 0)),
        )
        if events := self.more.get("events"):
            if self.price["model"] == "percentage":
                amounts = tuple(Decimal(event["amount"]) for event in events)
                usage = Usage(seen=Seen(amounts=amounts))
            elif self.price["model"] == "time_weighted":
                assert proration is not None
                usage = _gauge(events, proration)
            else:
                usage = Usage(sum((Decimal(event["amount"]) for event in events), Decimal(0)))
        return rate(price(**self.price), usage, Context(self.currency, proration))


def _gauge(events: list[dict[str, str]], proration: Proration) -> Usage:
    hours = sum(
        (
            Fraction(event["amount"])
            * Fraction(
                (proration.service_to - datetime.fromisoformat(event["time"])).total_seconds()
            )
            for event in events
        ),
        Fraction(0),
    )
    whole = Fraction((proration.period_to - proration.period_from).total_seconds())
    return Usage(hours / 3600, Seen(hours=whole / 3600))


def tier(up_to: str | None, unit_amount: str = "0", flat_amount: str = "0") -> dict[str, Any]:
    return {"up_to": up_to, "unit_amount": unit_amount, "flat_amount": flat_amount}


def part(service_from: str, service_to: str, period_from: str, period_to: str) -> dict[str, Any]:
    """A proration between midnights of UTC."""
    return {
        "proration": {
            "service_from": f"{service_from}T00:00:00Z",
            "service_to": f"{service_to}T00:00:00Z",
            "period_from": f"{period_from}T00:00:00Z",
            "period_to": f"{period_to}T00:00:00Z",
        }
    }


def january(service_from: str, service_to: str) -> dict[str, Any]:
    return part(service_from, service_to, "2026-01-01", "2026-02-01")


def unit(unit_amount: str, **modifiers: Any) -> dict[str, Any]:
    return {"model": "unit", "unit_amount": unit_amount, **modifiers}


def flat(amount: str, **modifiers: Any) -> dict[str, Any]:
    return {"model": "flat", "amount": amount, **modifiers}


def converted(**conversion: Any) -> dict[str, Any]:
    return unit("1", conversion=conversion)


def table(price: dict[str, Any], quantities: str, amounts: str) -> list[Case]:
    """One case a column: quantities and amounts stand under each other, divided by slashes."""
    columns = zip(quantities.split("/"), amounts.split("/"), strict=True)
    return [Case(price, quantity.strip(), amount.strip()) for quantity, amount in columns]


PACKAGE = {"model": "package", "package_size": "10", "amount": "15"}
VOLUME = {
    "model": "volume",
    "tiers": [tier("5", "0", "100"), tier("10", "0", "150"), tier("15", "10"), tier(None, "5")],
}
FLATS_THEN_UNITS = {
    "model": "graduated",
    "tiers": [tier("5", "0", "100"), tier("10", "0", "50"), tier("15", "5"), tier(None, "1")],
}
CHEAPER_WITH_VOLUME = {
    "model": "graduated",
    "tiers": [tier("10", "100"), tier("20", "90"), tier(None, "80")],
}
WITH_FLATS = {
    "model": "graduated",
    "tiers": [tier("10", "10", "2"), tier("20", "5", "3"), tier(None, "5", "3")],
}
DECIMAL_TIERS = {
    "model": "graduated",
    "tiers": [tier("0.1", "10"), tier("1", "5"), tier(None, "2")],
}
GRADUATED_PERCENTAGE = {
    "model": "graduated_percentage",
    "tiers": [
        {"up_to": "10", "rate": "0.01", "flat_amount": "200"},
        {"up_to": "20", "rate": "0.02", "flat_amount": "300"},
        {"up_to": None, "rate": "0.03", "flat_amount": "400"},
    ],
}
PERCENTAGE = {"model": "percentage", "rate": "0.013", "fixed_amount": "2"}
FOUR_EVENTS = {"events": [{"amount": amount} for amount in ("50", "100", "250", "400")]}
MARCH = part("2026-03-01", "2026-04-01", "2026-03-01", "2026-04-01")
ADDED_ON_5_MARCH = {**MARCH, "events": [{"amount": "2500", "time": "2026-03-05T00:00:00Z"}]}

ROWS: dict[str, list[Case]] = {
    "unit": table(unit("100"), "10", "1000.00"),
    "minimum": table(unit("10", minimum="100"), "0", "100.00"),
    "maximum": [
        Case(unit("10", maximum="100"), "10", "100.00"),
        Case(unit("10", maximum="100"), "12", "100.00", "30.00", invoiced="70"),
    ],
    "discount, then maximum": [
        Case(
            unit("10", maximum="100", discount={"percent": "50"}),
            "27",
            "100.00",
            "65.00",
            invoiced="35",
        ),
        Case(unit("10", discount={"percent": "50"}), "27", "135.00"),
    ],
    "package": table(PACKAGE, "0 / 1 / 9 / 10 / 11", "0.00 / 15.00 / 15.00 / 15.00 / 30.00"),
    "package with a maximum": [
        Case(PACKAGE | {"maximum": "100"}, "110", "100.00", "10.00", invoiced="90")
    ],
    "dynamic": table({"model": "dynamic", "multiplier": "1.33333"}, "10", "13.33"),
    "volume": table(
        VOLUME,
        "0 / 3 / 5 / 14 / 15 / 16 / 100",
        "100.00 / 100.00 / 100.00 / 140.00 / 150.00 / 80.00 / 500.00",
    ),
    "graduated, flat amounts first": [
        Case(FLATS_THEN_UNITS, "22", "182.00"),
        Case(FLATS_THEN_UNITS, "22", "182.00", "22.00", invoiced="160"),
    ],
    "graduated": [
        Case(CHEAPER_WITH_VOLUME, "30", "2700.00"),
        Case(CHEAPER_WITH_VOLUME, "15", "1450.00"),
        Case(CHEAPER_WITH_VOLUME, "30", "2700.00", "1250.00", invoiced="1450"),
    ],
    "included": table(unit("1", included="110"), "50 / 125 / 155", "0.00 / 15.00 / 45.00"),
    "conversion": table(
        unit("10", conversion={"divide": "1000", "rounding": "ceiling"}), "1400", "20.00"
    ),
    "conversion alone": [
        Case(converted(multiply="1.2"), "10", "12.00"),
        Case(converted(divide="1000", rounding="floor"), "1900", "1.00"),
        Case(converted(divide="1000", rounding="half_up"), "1500", "2.00"),
        Case(converted(divide="1000", rounding="half_up"), "1400", "1.00"),
    ],
    "fee for a part of January": [
        Case(flat("100"), "0", "48.39", more=january("2026-01-01", "2026-01-16")),
        Case(flat("100"), "0", "32.26", more=january("2026-01-01", "2026-01-11")),
    ],
    "fee in yen": [
        Case(flat("1000"), "0", "323", currency="JPY", more=january("2026-01-01", "2026-01-11"))
    ],
    "plan change on 2 January": [
        Case(flat("10"), "0", "0.32", more=january("2026-01-01", "2026-01-02")),
        Case(flat("20"), "0", "19.35", more=january("2026-01-02", "2026-02-01")),
    ],
    "graduated with flat amounts": table(
        WITH_FLATS,
        "0 / 1 / 10 / 11 / 12 / 21",
        "2.00 / 12.00 / 102.00 / 110.00 / 115.00 / 163.00",
    ),
    "graduated, decimals": table(DECIMAL_TIERS, "0.05 / 0.5", "0.50 / 3.00"),
    "percentage": [
        Case(PERCENTAGE, "0", "18.40", more=FOUR_EVENTS),
        Case(PERCENTAGE | {"free_events": "3"}, "0", "7.20", more=FOUR_EVENTS),
        Case(
            PERCENTAGE | {"free_events": "3", "free_amount": "250"},
            "0",
            "11.15",
            more=FOUR_EVENTS,
        ),
    ],
    "graduated percentage": table(
        GRADUATED_PERCENTAGE,
        "0 / 1 / 10 / 11 / 12 / 21",
        "200.00 / 200.01 / 200.10 / 500.12 / 500.14 / 900.33",
    ),
    "time-weighted": [
        Case(
            {"model": "time_weighted", "unit_amount": "1", "per": "month"},
            "0",
            "2177.42",
            more=ADDED_ON_5_MARCH,
        )
    ],
    "fee in advance from 8 January": [
        Case(flat("50"), "0", "38.71", more=january("2026-01-08", "2026-02-01"))
    ],
    "capacity with overage": [
        Case(flat("10"), "0", "10.00"),
        Case(unit("0.10", included="100"), "150", "5.00"),
        Case(
            {"model": "graduated", "tiers": [tier("100", "0", "10"), tier(None, "0.10")]},
            "150",
            "15.00",
        ),
    ],
    "plan change after 1 of 30 days": [
        Case(
            flat("5"),
            "0",
            "4.83",
            more=part("2026-06-02", "2026-07-01", "2026-06-01", "2026-07-01"),
        ),
        Case(
            flat("20"),
            "0",
            "19.33",
            more=part("2026-06-02", "2026-07-01", "2026-06-01", "2026-07-01"),
        ),
    ],
    "plan change on day 100 of a year": [
        Case(
            flat("1200"),
            "0",
            "871.23",
            more=part("2026-04-11", "2027-01-01", "2026-01-01", "2027-01-01"),
        ),
        Case(
            flat("600"),
            "0",
            "435.62",
            more=part("2026-04-11", "2027-01-01", "2026-01-01", "2027-01-01"),
        ),
    ],
    "rounding": [
        Case(unit("1.994"), "1", "1.99"),
        Case(unit("1.995"), "1", "2.00"),
        Case(unit("1.235"), "1", "1.24"),
    ],
}
"""The rows of the table that are rating's."""

CASES = list(chain.from_iterable(ROWS.values()))
