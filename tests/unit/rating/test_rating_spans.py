"""What is rated of a part of the time is what is rated of all of it."""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rating import assess
from rating.billing import billing_periods, keys_of
from rating.charging import make_charges
from rating.subscription import Subscription
from tests.unit.rating.random_histories import (
    NOW,
    Bodies,
    Book,
    day,
    histories,
    measure,
    monthly,
    owed,
    plans,
)
from tests.unit.rating.subscribed import at, subscription


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(plans(), histories(), st.integers(0, 330), st.sampled_from([1, 31, 200]))
def test_a_part_of_the_time_is_rated_as_the_whole_is(
    bodies: Bodies, one: Subscription, first: int, days: int
) -> None:
    book = Book(bodies)
    known = book.of(keys_of(one))
    if assess.remembers(one, known):
        return
    whole = owed(book, one)
    spans = [(day(first), day(first + days))]
    part = make_charges(one, billing_periods(one, known, by=NOW, spans=spans), measure)
    assert part == [whole[charge.id] for charge in part]


def test_a_coupon_is_off_a_month_and_off_a_year_that_begin_together() -> None:
    bodies = {("p", 1): monthly("31"), ("q", 1): monthly("365", interval="year")}
    facts = [
        ("coupon", at(1, 1), {"slug": "ten", "amount": "10", "periods": 1}),
        ("plan", at(1, 15), {"plan": "q", "version": 1}),
    ]
    one = subscription(at(1, 1), *facts)
    assert [round(charge.amount, 2) for charge in owed(Book(bodies), one).values()] == [4, 341]


def test_versions_with_other_periods_sell_credit_for_each() -> None:
    """January to March are months of their own, though the year began with the first of them."""
    pack = [{"slug": "pack", "amount": "100", "price": "80"}]
    bodies = {
        ("p", 1): monthly("1", credits=pack),
        ("p", 2): monthly("1", credits=pack, interval="year"),
    }
    one = subscription(at(1, 1), ("plan", at(3, 15), {"plan": "p", "version": 2}))
    bought = [
        charge.due
        for charge in owed(Book(bodies), one).values()
        if charge.kind == "credit_purchase"
    ]
    assert bought == [at(1, 1), at(2, 1), at(3, 1), at(3, 15)]
