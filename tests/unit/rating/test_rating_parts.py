"""What each part of a plan asks, as stories with dates and amounts."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from common.money import round_line
from rating.history import Kind
from tests.unit.rating.subscribed import at, charges, due, onto, plan, subscription

ADVANCE: dict[str, Any] = {"slug": "base", "model": "flat", "amount": "10", "billed": "advance"}
REQUESTS = {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "1"}
SEATS = {
    "slug": "seats",
    "quantity": "seats",
    "model": "unit",
    "unit_amount": "12",
    "billed": "advance",
}


def fee(amount: str, **more: Any) -> dict[str, Any]:
    return ADVANCE | {"amount": amount} | more


def change(kind: Kind, when: datetime, **body: Any) -> tuple[Kind, datetime, dict[str, Any]]:
    return kind, when, body


# Plan changes


def test_a_change_on_the_second_of_january_from_10_to_20() -> None:
    history = subscription(at(1, 1), ("plan", at(1, 2), onto("q")))
    made = charges(history, {"p": plan(fee("10")), "q": plan(fee("20"))}, at(1, 2))
    assert due(made) == {"base 01-01": "0.32", "base 01-02": "19.35"}
    assert [one.due for one in made] == [at(1, 1), at(1, 2)]


def test_what_was_paid_in_advance_is_given_back_for_the_rest() -> None:
    """5 to 20 after 1 of 30 days: -4.83 + 19.33 = 14.50."""
    bodies = {"p": plan(fee("5")), "q": plan(fee("20"))}
    [before] = charges(subscription(at(4, 1)), bodies, at(4, 1))
    history = subscription(at(4, 1), ("plan", at(4, 2), onto("q")))
    first, second = charges(history, bodies, at(4, 2))
    assert first.id == before.id
    credit = round_line(first.amount, "USD") - round_line(before.amount, "USD")
    assert credit == Decimal("-4.83")
    assert round_line(second.amount, "USD") == Decimal("19.33")
    assert credit + round_line(second.amount, "USD") == Decimal("14.50")


def test_a_yearly_plan_from_600_to_1200_on_day_100() -> None:
    bodies = {"p": plan(fee("600"), interval="year"), "q": plan(fee("1200"), interval="year")}
    [before] = charges(subscription(at(1, 1)), bodies, at(1, 1))
    history = subscription(at(1, 1), ("plan", at(4, 11), onto("q")))
    first, second = charges(history, bodies, at(4, 11))
    assert round_line(first.amount, "USD") - before.amount == Decimal("-435.62")
    assert round_line(second.amount, "USD") == Decimal("871.23")


def test_a_fee_of_50_in_advance_from_the_eighth_of_january() -> None:
    assert due(charges(subscription(at(1, 8)), plan(fee("50")), at(1, 8))) == {
        "base 01-08": "38.71"
    }


def test_a_change_back_to_the_old_plan_and_a_pause_leave_what_was_used() -> None:
    history = subscription(at(4, 1), ("pause", at(4, 11), {}), ("resume", at(4, 21), {}))
    made = charges(history, plan(fee("30")), at(4, 25))
    assert due(made) == {"base 04-01": "10.00", "base 04-21": "10.00"}


@settings(deadline=None)
@given(st.lists(st.integers(1, 30 * 8640 - 1), max_size=6, unique=True))
def test_parts_of_a_period_add_up_to_the_whole(offsets: list[int]) -> None:
    """However often the version changes at the same price, the month costs the same."""
    slots = sorted(offsets)
    start = at(4, 1)
    facts = [
        change("plan", start + slot * (at(4, 2) - start) / 8640, plan="p", version=n + 2)
        for n, slot in enumerate(slots)
    ]
    made = charges(subscription(start, *facts), plan(fee("100")), at(4, 30, 23, 59, 59))
    assert len(made) == len(slots) + 1
    total = sum(one.amount for one in made)
    assert abs(total - 100) < Decimal("1e-16")


# Quantities


def test_seats_are_paid_in_advance_and_a_change_is_a_step_of_one_charge() -> None:
    history = subscription(
        at(4, 1),
        change("quantity", at(4, 16), name="seats", quantity="8"),
        body=onto("p", quantities={"seats": "5"}),
    )
    [april] = charges(history, plan(SEATS), at(4, 20))
    assert (april.amount, april.quantity, april.unit) == (78, Decimal("6.5"), "seats")
    assert [line.amount for line in april.lines] == [30, 48]
    assert all("1,296,000 of 2,592,000 seconds" in line.description for line in april.lines)
    assert april.evidence["held"][1][0] == "8"
    april, may = charges(history, plan(SEATS), at(5, 1))
    assert (may.amount, may.due) == (96, at(5, 1))


def test_a_quantity_that_is_not_set_is_the_plans_default() -> None:
    body = plan(SEATS | {"default_quantity": "3"})
    assert due(charges(subscription(at(4, 1)), body, at(4, 1))) == {"seats 04-01": "36.00"}


def test_seats_may_have_any_model_of_units() -> None:
    tiers = [{"up_to": "5", "unit_amount": "10"}, {"up_to": None, "unit_amount": "8"}]
    graduated = {"slug": "seats", "quantity": "seats", "model": "graduated", "tiers": tiers}
    history = subscription(at(4, 1), body=onto("p", quantities={"seats": "7"}))
    assert due(charges(history, plan(graduated), at(4, 1))) == {"seats 04-01": "66.00"}


# One-offs


def test_a_setup_fee_is_due_once_however_the_plan_changes() -> None:
    bodies = {
        "p": plan(fee("10"), one_offs=[{"slug": "setup", "amount": "250"}]),
        "q": plan(fee("20"), one_offs=[{"slug": "setup", "amount": "100"}]),
    }
    history = subscription(
        at(1, 10),
        change("plan", at(2, 1), plan="p", version=2),
        change("plan", at(3, 1), plan="q", version=1),
        change("plan", at(4, 1), plan="p", version=2),
    )
    made = charges(history, bodies, at(5, 1))
    assert {k: v for k, v in due(made).items() if k.startswith("setup")} == {
        "setup 01-10": "250.00",
        "setup 03-01": "100.00",
    }


def test_a_one_off_of_the_subscription_is_due_at_its_instant() -> None:
    history = subscription(
        at(1, 1), change("one_off", at(1, 20), slug="training", amount="75", description="Day")
    )
    made = charges(history, plan(), at(1, 25))
    assert [(one.price, one.due, one.amount) for one in made if one.kind == "one_off"] == [
        ("training~2", at(1, 20), 75)
    ]


# Commitments


def test_a_commitment_is_trued_up() -> None:
    body = plan(REQUESTS, commitments=[{"slug": "minimum", "amount": "100"}])
    used = {at(1, 5): "33.333", at(2, 5): "250"}
    made = charges(subscription(at(1, 1)), body, at(2, 20), used)
    assert due(made) == {
        "requests 01-01": "33.33",
        "minimum 01-01": "66.67",
        "requests 02-01": "250.00",
        "minimum 02-01": "0.00",
    }
    assert sum(line.amount for line in made[1].lines) == made[1].amount
    assert made[1].evidence["counted"] == {"requests:2026-01-01T00:00:00Z": "33.33"}


def test_a_commitment_is_prorated_and_counts_what_it_names() -> None:
    body = plan(
        fee("50"), REQUESTS, commitments=[{"slug": "m", "amount": "60", "of": ["requests"]}]
    )
    made = charges(subscription(at(4, 16)), body, at(4, 20), {at(4, 17): "10"})
    assert due(made)["m 04-16"] == "20.00", "half of 60, less 10"


@settings(deadline=None)
@given(st.decimals(0, 1000, places=3), st.decimals(1, 1000, places=2))
def test_a_period_never_costs_less_than_its_commitment(used: Decimal, committed: Decimal) -> None:
    body = plan(REQUESTS, commitments=[{"slug": "m", "amount": str(committed)}])
    made = charges(subscription(at(4, 1)), body, at(4, 2), {at(4, 1): str(used)})
    total = sum(round_line(one.amount, "USD") for one in made)
    assert total == max(committed, round_line(used, "USD"))


# Prepaid credits


CREDITS = {"slug": "pack", "amount": "100", "price": "80", "expires_after": 2}


def test_credits_are_bought_in_advance_and_pay_what_is_used() -> None:
    body = plan(REQUESTS, credits=[CREDITS])
    used = {at(1, 5): "30", at(2, 5): "150", at(3, 5): "500"}
    made = charges(subscription(at(1, 1)), body, at(3, 20), used)
    bought = [one for one in made if one.kind == "credit_purchase"]
    assert [(one.amount, one.due) for one in bought] == [
        (80, at(1, 1)),
        (80, at(2, 1)),
        (80, at(3, 1)),
    ]
    paid = [one for one in made if one.kind == "credit"]
    # 30 of January's; 70 of January's and 80 of February's; 20 of February's and all of March's.
    assert [one.amount for one in paid] == [-30, -150, -120]
    assert paid[1].evidence["balance"] == ["170", "20"]
    assert [one.due for one in paid] == [at(2, 1), at(3, 1), at(4, 1)]


def test_credit_that_is_not_used_expires() -> None:
    body = plan(REQUESTS, credits=[CREDITS | {"every": "once"}])
    used = {at(1, 5): "30", at(3, 5): "500"}
    made = charges(subscription(at(1, 1)), body, at(3, 20), used)
    assert [one.amount for one in made if one.kind == "credit"] == [-30, 0]
    assert len([one for one in made if one.kind == "credit_purchase"]) == 1


def test_a_cut_period_buys_credit_once() -> None:
    body = plan(REQUESTS, credits=[CREDITS])
    history = subscription(at(1, 1), ("cut", at(1, 10), {}))
    made = charges(history, body, at(1, 20), {at(1, 5): "60", at(1, 15): "60"})
    assert [one.amount for one in made if one.kind == "credit_purchase"] == [80]
    assert [one.amount for one in made if one.kind == "credit"] == [-60, -40]


def credits_of(amounts: list[tuple[str, list[str] | None]]) -> list[dict[str, Any]]:
    """Credits of those amounts that pay those prices (None: all)."""
    return [
        {"slug": f"c{number}", "amount": amount, "price": "1", **({} if of is None else {"of": of})}
        for number, (amount, of) in enumerate(amounts)
    ]


def test_of_two_credits_the_second_pays_what_the_first_has_left() -> None:
    traffic = REQUESTS | {"slug": "traffic", "meter": "bytes"}
    first_only = credits_of([("50", ["traffic"]), ("100", None)])
    made = charges(
        subscription(at(1, 1)),
        plan(REQUESTS, traffic, credits=first_only),
        at(1, 20),
        {at(1, 5): "60"},
    )
    first, second = [one for one in made if one.kind == "credit"]
    assert (first.amount, second.amount) == (-50, -70)
    start = "2026-01-01T00:00:00Z"
    assert second.evidence["paid"] == {f"requests:{start}": "60", f"traffic:{start}": "10"}
    enough = plan(REQUESTS, credits=credits_of([("100", None), ("100", None)]))
    made = charges(subscription(at(1, 1)), enough, at(1, 20), {at(1, 5): "60"})
    assert [one.amount for one in made if one.kind == "credit"] == [-60, 0]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 99).map(str),
            st.sampled_from([None, ["requests"], ["traffic"], ["traffic", "requests"]]),
        ),
        max_size=4,
    ),
    st.decimals(-20, 99, places=2).map(str),
    st.integers(1, 90),
)
def test_credits_never_pay_more_than_is_owed(
    amounts: list[tuple[str, list[str] | None]], used: str, discount: int
) -> None:
    traffic = REQUESTS | {"slug": "traffic", "meter": "bytes", "unit_amount": f"0.{discount:02}"}
    body = plan(REQUESTS, traffic, credits=credits_of(amounts))
    made = charges(subscription(at(1, 1)), body, at(1, 20), {at(1, 5): used})
    paid = -sum(one.amount for one in made if one.kind == "credit")
    owed = {one.price: round_line(one.amount, "USD") for one in made if one.kind == "usage"}
    assert 0 <= paid <= sum(owed.values())
    for_all = sum(int(amount) for amount, of in amounts if of is None or len(of) == 2)
    assert paid >= min(for_all, sum(owed.values()))


# Trials


def test_a_trial_costs_nothing_and_says_so() -> None:
    body = plan(fee("30"), REQUESTS, trial={"days": 10})
    made = charges(subscription(at(4, 1)), body, at(4, 20), {at(4, 5): "7", at(4, 15): "7"})
    assert due(made) == {
        "base 04-01": "0.00",
        "requests 04-01": "0.00",
        "base 04-11": "20.00",
        "requests 04-11": "7.00",
    }
    assert made[0].lines[-1].kind == "trial"


def test_a_trial_of_fees_charges_usage_from_the_first_day() -> None:
    body = plan(fee("30"), REQUESTS, trial={"days": 10, "covers": "fees"})
    made = charges(subscription(at(4, 1)), body, at(4, 5), {at(4, 5): "7"})
    assert due(made) == {"base 04-01": "0.00", "requests 04-01": "7.00"}


# Add-ons


def test_an_add_on_is_charged_while_it_is_on() -> None:
    backup = {
        "slug": "backup",
        "name": "Backup",
        "prices": [{"slug": "backup-fee", "model": "flat", "amount": "30"}],
        "one_offs": [{"slug": "backup-setup", "amount": "5"}],
    }
    history = subscription(
        at(4, 1),
        change("add_on", at(4, 11), add_on="backup", enabled=True),
        change("add_on", at(4, 21), add_on="backup", enabled=False),
    )
    made = charges(history, plan(fee("10"), add_ons=[backup]), at(5, 2))
    assert due(made) == {
        "base 04-01": "10.00",
        "backup-fee 04-11": "10.00",
        "backup-setup 04-11": "5.00",
        "base 05-01": "10.00",
    }


# Coupons


def test_a_percentage_off_for_three_periods_counts_the_first_part() -> None:
    body = plan(fee("31"), coupons=[{"slug": "c", "percent": "50", "periods": 3}])
    made = charges(subscription(at(1, 16)), body, at(4, 1))
    assert due(made) == {
        "base 01-16": "8.00",
        "base 02-01": "15.50",
        "base 03-01": "15.50",
        "base 04-01": "31.00",
    }
    assert [line.kind for line in made[1].lines] == ["flat", "coupon"]


def test_a_line_coupon_of_20_then_one_of_10_leave_70_of_100() -> None:
    coupons = [{"slug": "a", "amount": "20", "of": ["base"]}, {"slug": "b", "amount": "10"}]
    assert due(charges(subscription(at(4, 1)), plan(fee("100"), coupons=coupons), at(4, 1))) == {
        "base 04-01": "70.00"
    }


def test_an_amount_off_is_used_up_once_a_period_what_is_due_first_first() -> None:
    body = plan(REQUESTS, fee("10"), coupons=[{"slug": "c", "amount": "25"}])
    used = {at(4, 5): "8.333", at(4, 15): "100"}
    made = charges(subscription(at(4, 1), ("cut", at(4, 11), {})), body, at(4, 20), used)
    # Off the fee of 3.33 for ten days, then off 8.33 of usage; the rest off the fee of 6.67 and
    # 6.67 of the usage after the cut.
    assert due(made) == {
        "requests 04-01": "0.00",
        "base 04-01": "0.00",
        "requests 04-11": "93.33",
        "base 04-11": "0.00",
    }


def test_a_coupon_of_the_subscription_begins_with_the_running_period() -> None:
    coupon = {"slug": "sorry", "percent": "100", "periods": 1}
    history = subscription(at(1, 1), ("coupon", at(2, 20), coupon))
    assert due(charges(history, plan(fee("10")), at(3, 1))) == {
        "base 01-01": "10.00",
        "base 02-01": "0.00",
        "base 03-01": "10.00",
    }


def test_a_commitment_looks_at_what_was_charged_before_coupons() -> None:
    body = plan(
        fee("80"),
        commitments=[{"slug": "m", "amount": "100"}],
        coupons=[{"slug": "c", "percent": "50"}],
    )
    assert due(charges(subscription(at(4, 1)), body, at(4, 1))) == {
        "base 04-01": "40.00",
        "m 04-01": "20.00",
    }


# Own prices, currencies, effective dates


def test_a_tenant_may_have_a_price_of_its_own() -> None:
    history = subscription(
        at(4, 1), change("override", at(4, 16), price="base", fields={"amount": "4"})
    )
    made = charges(history, plan(fee("10")), at(4, 20))
    assert due(made) == {"base 04-01": "5.00", "base 04-16": "2.00"}
    assert "override" not in made[0].evidence
    assert made[1].evidence["override"] == {"amount": "4"}


def test_a_plan_in_two_currencies() -> None:
    body = plan(
        fee("10"),
        REQUESTS,
        currencies={"JPY": {"base": {"amount": "1500"}, "requests": {"unit_amount": "150"}}},
    )
    made = charges(subscription(at(4, 1), currency="JPY"), body, at(4, 2), {at(4, 1): "3"})
    assert due(made) == {"base 04-01": "1500", "requests 04-01": "450"}
    assert {one.currency for one in made} == {"JPY"}


def test_a_price_holds_from_and_until_its_dates() -> None:
    body = plan(
        fee("30", until="2026-04-11T00:00:00Z"),
        fee("60", slug="later", **{"from": "2026-04-11T00:00:00Z"}),
    )
    made = charges(subscription(at(4, 1)), body, at(5, 1))
    assert due(made) == {"base 04-01": "10.00", "later 04-11": "40.00", "later 05-01": "60.00"}


def test_a_capacity_with_overage() -> None:
    body = plan(fee("10"), REQUESTS | {"unit_amount": "0.10", "included": "100"})
    made = charges(subscription(at(4, 1)), body, at(4, 2), {at(4, 1): "150"})
    assert sum(Decimal(amount) for amount in due(made).values()) == 15
