"""The demo's independent count and prices, and that a difference is seen."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from demo.load import parse_hey
from demo.prices import amount, fee_share, rounded
from demo.reconcile import Bill, amounts, quantities
from demo.truth import count_log, crossing

LOG = [
    '{"msec":1772359200.100,"tenant":"a","status":200,"bytes":10,"request_time":0.003}',
    '{"msec":1772359200.200,"tenant":"a","status":404,"bytes":5,"request_time":0.001}',
    '{"msec":1772359200.300,"tenant":"a","status":429,"bytes":99,"request_time":0.000}',
    '{"msec":1772359200.400,"tenant":"","status":401,"bytes":9,"request_time":0.000}',
]
PLAN = {
    "prices": [
        {"slug": "fee", "model": "flat", "amount": "31"},
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.50"},
    ]
}
TENANT = {"key": "a", "currency": "USD", "billing_day": 1, "timezone": "UTC"}


def bill(requests: str = "2", amount: str = "1.00") -> Bill:
    """One day of March, with the invoice as given."""
    lines = [
        {"price": "fee", "quantity": None, "amount": "1.00"},
        {"price": "requests", "quantity": requests, "amount": amount},
    ]
    invoice = {"lines": lines, "total": str(Decimal("1.00") + Decimal(amount))}
    day = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    return Bill(TENANT, PLAN, *day, invoice)


METERED = {
    ("a", "requests"): Decimal(2),
    ("a", "bytes-out"): Decimal(15),
    ("a", "request-seconds"): Decimal("0.004"),
}


def test_a_refused_request_is_not_usage() -> None:
    count = count_log(LOG)["a"]
    assert count.meters() == {
        "requests": Decimal(2),
        "bytes-out": Decimal(15),
        "request-seconds": Decimal("0.004"),
    }
    assert count.refused == 1
    assert count.first_refusal is not None


def test_the_crossing_is_the_first_request_over_the_limit() -> None:
    count = count_log(LOG)["a"]
    assert crossing(count, Decimal(1)) == datetime(2026, 3, 1, 10, 0, 0, 200_000, tzinfo=UTC)
    assert crossing(count, Decimal(2)) is None


def test_all_equal() -> None:
    counts = count_log(LOG)
    rows = quantities(counts, METERED, [bill()]) + amounts(counts, [bill()])
    assert [row for row in rows if not row.agrees] == []


def test_taxes_are_computed_from_the_net_total() -> None:
    plain, counts = bill(), count_log(LOG)
    tenant = TENANT | {"taxes": [{"name": "VAT", "percent": "19"}]}
    assert plain.invoice is not None
    taxes = [{"name": "VAT", "percent": "19", "amount": "0.38"}]
    invoice = dict(plain.invoice) | {"taxes": taxes, "total": "2.38"}
    taxed = Bill(tenant, PLAN, plain.start, plain.end, invoice)
    assert [row for row in amounts(counts, [taxed]) if not row.agrees] == []
    taxes[0]["amount"] = "0.39"
    assert [row.what for row in amounts(counts, [taxed]) if not row.agrees] == ["VAT 19 % USD"]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (bill(requests="3"), ["requests"]),
        (bill(amount="1.01"), ["requests USD", "total USD"]),
        (bill(amount="0.99"), ["requests USD", "total USD"]),
    ],
)
def test_one_unit_or_one_cent_of_difference_is_seen(wrong: Bill, where: list[str]) -> None:
    counts = count_log(LOG)
    rows = quantities(counts, METERED, [wrong]) + amounts(counts, [wrong])
    assert [row.what for row in rows if not row.agrees] == where


def test_usage_that_was_not_metered_is_seen() -> None:
    rows = quantities(count_log(LOG), {}, [bill()])
    assert [row.what for row in rows if not row.agrees] == [
        "requests",
        "bytes-out",
        "request-seconds",
    ]


def test_a_missing_invoice_is_seen() -> None:
    missing = Bill(TENANT, PLAN, bill().start, bill().end, None)
    assert not all(row.agrees for row in amounts(count_log(LOG), [missing]))


@pytest.mark.parametrize(
    ("used", "expected"), [("0", "1"), ("500", "6"), ("501", "6.005"), ("1001", "8.5025")]
)
def test_graduated(used: str, expected: str) -> None:
    tiers = [
        {"up_to": "500", "unit_amount": "0.01", "flat_amount": "1.00"},
        {"up_to": "1000", "unit_amount": "0.005", "flat_amount": "0"},
        {"up_to": None, "unit_amount": "0.0025", "flat_amount": "0"},
    ]
    price = {"model": "graduated", "tiers": tiers}
    assert amount(price, Decimal(used), Fraction(1)) == Fraction(expected)


def test_rounding_is_half_away_from_zero() -> None:
    assert rounded(Fraction("1.995"), "USD") == Decimal("2.00")
    assert rounded(Fraction("-1.995"), "USD") == Decimal("-2.00")
    assert rounded(Fraction("12.5"), "JPY") == Decimal("13")


def test_a_month_with_a_change_of_clocks_is_longer() -> None:
    start = datetime(2026, 10, 1, tzinfo=UTC)
    share = fee_share(start, datetime(2026, 10, 2, tzinfo=UTC), 1, "Europe/Berlin")
    assert share == Fraction(24, 31 * 24 + 1)


def test_hey_report() -> None:
    report = "Status code distribution:\n  [200]\t120 responses\n  [429]\t7 responses\n"
    assert parse_hey(report) == {"200": 120, "429": 7}
