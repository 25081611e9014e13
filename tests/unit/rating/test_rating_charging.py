"""From billing periods and usage to charges."""

from decimal import Decimal
from typing import Any

import msgspec

from common.contracts import wire
from common.contracts.charges import Charge
from rating.billing import Billed
from rating.charging import (
    NOTHING,
    Measured,
    added,
    changes,
    made_from,
    make_charges,
    metered,
    withdraw,
)
from rating.parts.period import Held
from rating.rate import rate
from tests.unit.rating.subscribed import at, periods_of, plan, subscription

BODY = plan(
    {"slug": "base", "model": "flat", "amount": "100", "description": "Base fee"},
    {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.5"},
    name="Standard",
)
SUBSCRIPTION = subscription(
    at(1, 1), ("end", at(1, 16), {}), id="sub", body={"plan": "standard", "version": 3}
)


def made(quantity: str = "7", *, version: int = 1, closed: bool = False) -> list[Charge]:
    """The base fee and the requests of half of January."""

    def measure(meter: str, held: Held) -> Measured:
        return Measured(Decimal(quantity), 2, {1: version, 0: 4})

    [billed] = periods_of(SUBSCRIPTION, {"standard": BODY}, at(1, 15))
    watermark = at(1, 16) if closed else None
    return make_charges(SUBSCRIPTION, [billed], measure, watermark=watermark)


def charge(quantity: str = "7", *, version: int = 1, closed: bool = False) -> Charge:
    return made(quantity, version=version, closed=closed)[1]


def test_a_charge_says_what_is_owed_and_what_it_was_made_from() -> None:
    one = charge()
    assert one.id == "sub:requests:20260101T000000Z"
    assert (one.tenant, one.plan_name, one.plan_version) == ("acme", "Standard", 3)
    assert (one.quantity, one.unit, one.amount) == (7, "unit", Decimal("3.5"))
    assert (one.kind, one.due) == ("usage", at(1, 16))
    assert one.evidence == {
        "plan_version": 3,
        "price": {"model": "unit", "unit_amount": "0.5"},
        "period": ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"],
        "rounded": "3.50",
        "residual": "0.00",
        "meter": "requests",
        "hours": ["2026-01-01T00:00:00Z", "2026-01-16T00:00:00Z"],
        "rollup_rows": 2,
        "rollup_versions": {"0": 4, "1": 1},
    }


def test_a_fee_is_prorated_to_the_part_of_the_period() -> None:
    fee = made()[0]
    assert (fee.quantity, fee.meter, fee.description) == (1, None, "Base fee")
    assert fee.amount == Decimal("48.387096774193548387")
    assert fee.evidence["rounded"] == "48.39"
    assert fee.lines[0].description == "Fee, 1,296,000 of 2,678,400 seconds"


def test_making_a_charge_again_changes_nothing() -> None:
    known = msgspec.structs.replace(charge(), version=9)
    assert changes({known.id: known}, [charge()]) == []
    assert changes({}, [charge()]) == [charge()]


def test_anything_but_the_version_is_a_change() -> None:
    known = msgspec.structs.replace(charge(), version=9)
    for other in (charge("8"), charge(version=2), charge(closed=True), withdraw(charge())):
        assert changes({known.id: known}, [other]) == [other]


def test_a_withdrawn_charge_owes_nothing() -> None:
    gone = withdraw(charge())
    assert (gone.amount, gone.quantity, gone.withdrawn, gone.closed) == (0, 0, True, True)
    assert withdraw(gone) == gone


def test_what_is_paid_in_advance_is_due_when_its_period_begins() -> None:
    advance = {"slug": "base", "model": "flat", "amount": "100", "billed": "advance"}
    body = plan(advance, {"slug": "late", "model": "flat", "amount": "5"})
    history = subscription(at(1, 1))
    billed = periods_of(history, {"p": body}, at(1, 1))
    early, late = make_charges(history, billed, nothing, watermark=at(1, 1))
    assert (early.due, early.closed) == (at(1, 1), True)
    assert (late.due, late.closed) == (at(2, 1), False)


def nothing(meter: str, held: Held) -> Measured:
    return NOTHING


def test_usage_is_asked_for_once_a_meter_and_span() -> None:
    requests = {"slug": "one", "meter": "requests", "model": "unit", "unit_amount": "1"}
    body = plan(requests, requests | {"slug": "two"}, {**requests, "slug": "x", "meter": "bytes"})
    billed: list[Billed] = periods_of(subscription(at(1, 1)), {"p": body}, at(2, 1))
    assert list(metered(billed)) == [
        ("requests", (at(1, 1), at(2, 1))),
        ("bytes", (at(1, 1), at(2, 1))),
        ("requests", (at(2, 1), at(3, 1))),
        ("bytes", (at(2, 1), at(3, 1))),
    ]


def test_a_charge_is_made_again_from_its_evidence() -> None:
    for one in made():
        parts: Any = made_from(one)
        amount = rate(*parts).settled().amount + sum(line.amount for line in added(one))
        assert amount == one.amount


def test_a_charge_survives_the_wire() -> None:
    one = charge("123456789012345678901234567890.123456789012345678")
    assert wire.decode(Charge, wire.encode(one)) == one


def test_a_charge_of_rolled_over_units_is_made_again_from_its_evidence() -> None:
    price = {"slug": "r", "meter": "m", "model": "unit", "unit_amount": "3", "included": "10"}
    history = subscription(at(1, 1))
    billed = periods_of(history, {"p": plan(price | {"rollover": {}})}, at(2, 1))

    def measure(meter: str, held: Held) -> Measured:
        return Measured(Decimal(4 if held[0] == at(1, 1) else 20), 1)

    january, february = make_charges(history, billed, measure)
    assert (january.amount, february.amount) == (0, 12)
    assert february.evidence["rolled_over"] == "6"
    parts: Any = made_from(february)
    assert rate(*parts).settled().amount == february.amount
