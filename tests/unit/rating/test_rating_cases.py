"""The table of known cases, each through the pure function and through the real application."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
import pytest_asyncio

from rating.main import build
from rating.proration import Proration
from rating.rate import Context, Usage, rate
from rating.settings import Settings
from tests.unit.rating.known_cases import CASES, ROWS, WITH_FLATS, Case
from tests.unit.rating.prices import price, rated, tier

GRADUATED_WITH_FLATS = price(**WITH_FLATS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_pure_function_knows_the_answer(case: Case) -> None:
    result = case.rated()
    assert str(result.rounded) == case.amount
    assert case.due is None or result.rounded - Decimal(case.invoiced) == Decimal(case.due)
    assert sum(line.amount for line in result.lines) == result.amount


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The application as it is deployed. Rating a price needs no server, so none is started."""
    transport = httpx.ASGITransport(app=build(Settings(), api=True, worker=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://rating") as client:
        yield client


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_api_knows_the_answer(client: httpx.AsyncClient, case: Case) -> None:
    answer = await client.post("/v1/rate", json=case.body())
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["amount"] == case.amount
    assert case.due is None or said["due"] == case.due
    assert Decimal(said["due"]) == Decimal(case.amount) - Decimal(case.invoiced)
    exact = sum(Decimal(line["amount"]) for line in said["lines"])
    assert exact == Decimal(said["amount"]) + Decimal(said["residual"])


@pytest.mark.parametrize(
    ("row", "signs", "expected"),
    [
        ("plan change after 1 of 30 days", (-1, 1), "14.50"),
        ("plan change on day 100 of a year", (1, -1), "435.61"),
        ("plan change on 2 January", (1, 1), "19.67"),
    ],
)
def test_a_plan_change_is_the_sum_of_its_rounded_lines(
    row: str, signs: tuple[int, ...], expected: str
) -> None:
    lines = [case.rated().rounded for case in ROWS[row]]
    total = sum(sign * line for sign, line in zip(signs, lines, strict=True))
    assert total == Decimal(expected)


def test_capacity_is_a_fee_and_overage_in_two_prices_or_one() -> None:
    fee, overage, together = (case.rated().rounded for case in ROWS["capacity with overage"])
    assert fee + overage == together == 15


@pytest.mark.parametrize(
    ("unit_amount", "currency", "expected", "residual"),
    [
        ("1.994", "USD", "1.99", "0.004"),
        ("1.995", "USD", "2.00", "-0.005"),
        ("1.235", "USD", "1.24", "-0.005"),
        ("0.5", "JPY", "1", "-0.5"),
        ("0.4999", "JPY", "0", "0.4999"),
        ("1.2345", "KWD", "1.235", "-0.0005"),
        ("0.00005", "CLF", "0.0001", "-0.00005"),
    ],
)
def test_the_line_is_rounded_once_half_away_from_zero(
    unit_amount: str, currency: str, expected: str, residual: str
) -> None:
    result = rated(price(model="unit", unit_amount=unit_amount), "1", currency)
    assert (str(result.rounded), result.residual) == (expected, Decimal(residual))


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def test_usage_is_not_prorated() -> None:
    half = Proration(at(1, 1), at(1, 16), at(1, 1), at(2, 1))
    result = rate(price(model="unit", unit_amount="3"), Usage(Decimal(7)), Context("USD", half))
    assert result.amount == 21


def test_tiers_are_not_rounded_one_by_one() -> None:
    made = price(model="graduated", tiers=[tier("1", "0.004"), tier("2", "0.004"), tier(None)])
    result = rated(made, "2")
    assert [line.amount for line in result.lines[:2]] == [Decimal("0.004")] * 2
    assert result.rounded == Decimal("0.01")


def test_the_lines_tell_how_the_amount_came_about() -> None:
    lines = rated(GRADUATED_WITH_FLATS, "12").lines
    assert [(line.kind, line.tier, line.quantity, line.amount) for line in lines] == [
        ("tier", 1, Decimal(10), Decimal(100)),
        ("tier_flat", 1, None, Decimal(2)),
        ("tier", 2, Decimal(2), Decimal(10)),
        ("tier_flat", 2, None, Decimal(3)),
    ]


def test_negative_usage_costs_what_nothing_costs() -> None:
    assert rated(price(model="unit", unit_amount="5"), "-3").amount == 0
    assert rated(GRADUATED_WITH_FLATS, "-3").amount == 2
