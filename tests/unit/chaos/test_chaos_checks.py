"""The checks see each kind of wrong, and nothing where all is right."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chaos.checks.books import identity_broken
from chaos.checks.charges import Rating, missing_charges, wrong_charges
from chaos.checks.decisions import Glimpse, going_backwards, not_current
from chaos.checks.invoices import broken_series, changed, wrong_amounts
from chaos.checks.usage import differences, miscounted
from chaos.counted import explain
from chaos.truth import Cell, Made, SlotSums, cell_sums

HOUR = datetime(2026, 11, 28, 4, tzinfo=UTC)
START = datetime(2026, 11, 18, tzinfo=UTC)


def made(number: int, **changes: Any) -> Made:
    """An event of aurora at 04:00:00 plus `number` seconds."""
    fields: dict[str, Any] = {
        "tenant": "aurora",
        "source": "app",
        "id": str(number),
        "at_ms": int(HOUR.timestamp() * 1000) + number * 1000,
        "size": 100,
        "millis": 250,
        "page": number % 2,
        "path": "http",
        "acked_at": 1.0,
    }
    return Made(**fields | changes)


EVENTS = [made(number) for number in range(30)]


def test_truth_is_summed_by_tenant_hour_meter_and_path() -> None:
    sums = cell_sums([*EVENTS, made(3_600, path="collector-1", size=900)])
    assert sums[Cell("aurora", HOUR, "requests", "http")] == 30
    assert sums[Cell("aurora", HOUR, "bytes")] == 3000
    assert sums[Cell("aurora", HOUR, "seconds")] == Decimal("7.5")
    assert sums[Cell("aurora", HOUR, "pages")] == 2
    later = HOUR + timedelta(hours=1)
    assert sums[Cell("aurora", later, "peak", "collector-1")] == 900


def test_a_difference_names_tenant_hour_meter_expected_and_found() -> None:
    expected = cell_sums(EVENTS)
    assert differences(expected, expected) == []
    cell = Cell("aurora", HOUR, "requests", "http")
    (wrong,) = differences(expected, expected | {cell: Decimal(29)})
    assert str(wrong) == (
        "tenant aurora, hour 2026-11-28T04:00Z, meter requests, path http:"
        " expected 30, found 29 (-1)"
    )


def test_differences_tell_how_many_events_are_lost_and_doubled() -> None:
    expected = cell_sums([*EVENTS, made(3_600)])
    here = Cell("aurora", HOUR, "requests", "http")
    later = Cell("aurora", HOUR + timedelta(hours=1), "requests", "http")
    wrong = differences(expected, expected | {here: Decimal(27), later: Decimal(2)})
    assert miscounted(wrong) == (3, 1)


def test_a_difference_is_explained_down_to_the_events() -> None:
    cell = Cell("aurora", HOUR, "requests", "http")
    counted = {("app", str(number)): [0] for number in range(30) if number != 7}
    counted["app", "9"] = [0, 0]
    lost, doubled = explain(cell, EVENTS, counted)
    assert lost.startswith("1 of its 30 events are not in usage.events: app 7 ")
    assert doubled.startswith("1 of its 30 events are in usage.events more than once: app 9 ")
    complete = {("app", str(number)): [0] for number in range(30)}
    (line,) = explain(cell, EVENTS, complete)
    assert "the aggregator differs" in line


def test_the_identity_is_checked_at_every_look() -> None:
    right = {"received": 10, "counted": 6, "duplicates": 2, "parked": 1, "pending": 1}
    assert identity_broken([(1.0, right)]) == []
    assert identity_broken([(1.0, right | {"received": 11})])
    (line,) = identity_broken([(1.0, right), (2.0, right | {"counted": 5, "pending": 2})])
    assert "counted went from 6 back to 5" in line


def test_decisions_that_go_backwards_are_seen() -> None:
    glimpses = [
        Glimpse(1.0, 5, {"aurora/all": 5}),
        Glimpse(2.0, 7, {"aurora/all": 7}),
        Glimpse(3.0, 6, {"aurora/all": 5}),
    ]
    assert going_backwards("edge", glimpses[:2]) == []
    assert len(going_backwards("edge", glimpses)) == 2
    assert not_current("edge", glimpses[1], {"aurora/all": 7}) == []
    assert not_current("edge", glimpses[1], {"aurora/all": 8})


def charge(**changes: Any) -> dict[str, Any]:
    """aurora's requests from the start of its subscription to 04:00:20."""
    return {
        "id": "s:requests:1",
        "tenant": "aurora",
        "plan": "standard",
        "price": "requests",
        "meter": "requests",
        "currency": "EUR",
        "from": START.isoformat(),
        "to": (HOUR + timedelta(seconds=20)).isoformat(),
        "quantity": "20",
        "amount": "0.046",
    } | changes


RATING = Rating(SlotSums(EVENTS).quantity, START)


def test_charges_are_compared_with_the_truth_of_their_period() -> None:
    assert wrong_charges([charge()], RATING) == []
    assert wrong_charges([charge(quantity="21")], RATING)
    assert wrong_charges([charge(amount="0.05")], RATING)


def test_a_fee_is_due_for_its_part_of_the_month() -> None:
    fee = charge(price="fee", meter=None, quantity="1")
    month_seconds = 30 * 86_400
    part = (datetime.fromisoformat(fee["to"]) - START).total_seconds() / month_seconds
    exact = float(RATING.exact(fee)[1])
    assert abs(exact - 49.0 * part) < 1e-9


def test_a_charge_that_is_not_there_is_missed() -> None:
    missing = missing_charges([charge()], [START])
    assert "aurora has no charge for requests" not in "".join(missing)
    assert any("aurora has no charge for traffic" in line for line in missing)


def invoice(number: int, previous: str, **changes: Any) -> dict[str, Any]:
    content = {
        "id": f"i{number}",
        "number": f"TG-{number:06d}",
        "series": "TG",
        "previous_hash": previous,
        "total": "0.05",
        "lines": [{"charge": "s:requests:1", "amount": "0.05"}],
    } | changes
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return content | {"hash": digest, "state": "finalised", "run": "r", "state_at": None}


def test_invoices_bill_each_charge_to_the_cent_over_all_lines() -> None:
    first = invoice(1, "0" * 64)
    assert wrong_amounts([charge()], [first], RATING) == []
    again = invoice(2, first["hash"], lines=[{"charge": "s:requests:1", "amount": "0.01"}])
    assert len(wrong_amounts([charge()], [first, again], RATING)) == 2  # the sum, and its total


def test_numbers_hashes_and_links_are_checked() -> None:
    first = invoice(1, "0" * 64)
    second = invoice(2, first["hash"])
    assert broken_series([second, first]) == []
    assert broken_series([first, invoice(3, first["hash"])])
    assert broken_series([first, second | {"total": "0.06"}])
    assert broken_series([first, invoice(2, "1" * 64)])


def test_a_finalised_invoice_that_changed_or_went_is_seen() -> None:
    first = invoice(1, "0" * 64)
    assert changed({"i1": first}, {"i1": first | {"state": "paid"}}) == []
    assert changed({"i1": first}, {"i1": first | {"total": "1"}})
    assert changed({"i1": first}, {})
