"""What is paid in advance: invoiced when its period begins, given back when the plan changes."""

from datetime import UTC, datetime
from decimal import Decimal

from tests.integration.invoicer.conftest import Books
from tests.unit.invoicer.charging import DECEMBER, NOVEMBER, charge, fee

JANUARY = datetime(2026, 12, 31, 23, tzinfo=UTC)


async def test_a_fee_in_advance_is_on_the_invoice_of_the_day_its_period_begins(
    books: Books,
) -> None:
    await books.put(
        fee("november", "49", period_from=NOVEMBER, period_to=DECEMBER, due_at=NOVEMBER),
        fee("december", "49", period_from=DECEMBER, period_to=JANUARY, due_at=DECEMBER),
        charge("requests", "12.34"),
    )
    await books.bill(NOVEMBER)
    assert [line[1:] for line in await books.lines()] == [("fee", "november", Decimal("49.00"))]
    await books.bill(DECEMBER)
    assert [line[1:3] for line in (await books.lines())[1:]] == [
        ("usage", "requests"),
        ("fee", "december"),
    ]


async def test_a_plan_change_gives_back_the_rest_and_charges_the_new_one(books: Books) -> None:
    """5 to 20 after 1 of 30 days: -4.83 + 19.33, and the invoice of the 5 stays as it is."""
    changed = datetime(2026, 11, 1, 23, tzinfo=UTC)
    old = fee("old", "5", due_at=NOVEMBER)
    await books.put(old)
    await books.bill(NOVEMBER)
    await books.put(
        fee("old", "0.166666666666666667", period_to=changed, due_at=NOVEMBER, version=2),
        fee("new", "19.333333333333333333", period_from=changed, due_at=changed, version=2),
    )
    await books.bill(DECEMBER)
    assert await books.lines() == [
        ("TG-000001", "fee", "old", Decimal("5.00")),
        ("TG-000002", "fee", "new", Decimal("19.33")),
        ("TG-000002", "adjustment", "old", Decimal("-4.83")),
    ]


async def test_commitments_and_credits_are_lines_of_their_own(books: Books) -> None:
    await books.put(
        charge("requests", "70"),
        fee("minimum", "30", kind="commitment"),
        fee("pack~used", "-100", kind="credit"),
    )
    await books.bill(DECEMBER)
    assert [line[1:] for line in await books.lines()] == [
        ("usage", "requests", Decimal("70.00")),
        ("commitment", "minimum", Decimal("30.00")),
        ("credit", "pack~used", Decimal("-100.00")),
    ]
