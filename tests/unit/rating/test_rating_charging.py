"""From periods and usage to charges."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from common.contracts import wire
from common.contracts.charges import Charge
from common.periods import Period
from rating.charging import (
    NOTHING,
    Measured,
    PlanVersion,
    affected,
    changes,
    make_charge,
    withdraw,
)
from rating.plan import read_plan
from rating.subscription import Subscription

JANUARY = Period(
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 16, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 1, tzinfo=UTC),
)
SUBSCRIPTION = Subscription("sub", "acme", "standard", 3, JANUARY.start, JANUARY.end, 1, "UTC")
BODY = {
    "name": "Standard",
    "currency": "USD",
    "prices": [
        {"slug": "base", "model": "flat", "amount": "100", "description": "Base fee"},
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.5"},
    ],
}
PLAN = PlanVersion("standard", 3, read_plan(BODY)[0], {"requests": "request"})
BASE, REQUESTS = PLAN.plan.prices


def charge(quantity: str = "7", *, version: int = 1, closed: bool = False) -> Charge:
    measured = Measured(Decimal(quantity), 2, {1: version, 0: 4})
    return make_charge(SUBSCRIPTION, PLAN, REQUESTS, JANUARY, measured, closed=closed)


def test_a_charge_says_what_is_owed_and_what_it_was_made_from() -> None:
    made = charge()
    assert made.id == "sub:requests:20260101T000000Z"
    assert (made.tenant, made.plan_name, made.plan_version) == ("acme", "Standard", 3)
    assert (made.quantity, made.unit, made.amount) == (7, "request", Decimal("3.5"))
    assert made.evidence == {
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
    fee = make_charge(SUBSCRIPTION, PLAN, BASE, JANUARY, NOTHING, closed=False)
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


def test_periods_are_affected_by_what_changed_inside_them() -> None:
    day = timedelta(days=1)
    start = JANUARY.start
    made = [Period(start + n * day, start + (n + 1) * day, start, start) for n in range(4)]
    assert affected(made, [(start + day, start + 2 * day)]) == [made[1]]
    assert affected(
        made, [(start, start + timedelta(hours=1)), (start + 3 * day, start + 9 * day)]
    ) == [
        made[0],
        made[3],
    ]
    assert affected(made, []) == []


def test_a_charge_survives_the_wire() -> None:
    made = charge("123456789012345678901234567890.123456789012345678")
    assert wire.decode(Charge, wire.encode(made)) == made
