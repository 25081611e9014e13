"""Every charge of random plans is explained from what it keeps, and comes to its amount again."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts import wire
from common.contracts.charges import Charge
from rating.charging import Measured, make_charges
from rating.explained import explain
from rating.parts.period import Held
from rating.parts.usage import Levels
from rating.prices import MODELS
from tests.unit.rating.arithmetic import last_value
from tests.unit.rating.random_plans import random_plans
from tests.unit.rating.random_prices import OF_A_METER, REGIONS
from tests.unit.rating.subscribed import at, charges, periods_of, plan, subscription

QUANTITIES = st.decimals(-100, 10**7, places=4)


@st.composite
def measured(draw: st.DrawFn) -> Measured:
    """What a meter may have counted, as any model looks at it."""
    regions = st.sampled_from((*REGIONS, "mars", "venus"))
    groups = draw(st.lists(st.tuples(regions, QUANTITIES), max_size=5))
    levels = Levels(draw(st.decimals(-5, 10**9, places=3)), at(1, 3), 2, 1)
    return Measured(
        draw(QUANTITIES),
        3,
        {0: 7, 1: 9},
        count=draw(st.integers(0, 10**5)),
        groups=tuple(({"region": region}, quantity) for region, quantity in groups),
        levels=draw(st.sampled_from([levels, None])),
    )


FACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("quantity", {"name": "seats", "quantity": "5"}),
                ("quantity", {"name": "seats", "quantity": "0.5"}),
                ("add_on", {"add_on": "backup", "enabled": True}),
                ("coupon", {"slug": "half", "percent": "33.3"}),
                ("coupon", {"slug": "sorry", "amount": "7", "periods": 2}),
                ("one_off", {"slug": "visit", "amount": "99.5", "description": "A visit: = 1"}),
                ("pause", {}),
                ("resume", {}),
                ("cut", {}),
            ]
        ),
        st.integers(11, 31),
    ),
    max_size=6,
)
"""What may happen to a subscription in January, by the day."""


@settings(deadline=None, max_examples=60)
@given(random_plans(), FACTS, st.lists(measured(), min_size=1, max_size=4))
def test_every_charge_of_a_random_plan_recomputes(
    body: dict[str, Any], facts: list[Any], found: list[Measured]
) -> None:
    opening = {"plan": "p", "version": 1, "quantities": {"seats": "3"}}
    changed = [(kind, at(1, day, 7), said) for (kind, said), day in facts]
    bought = subscription(at(1, 10, 12), *changed, body=opening)
    billed = periods_of(bought, {"p": body}, at(2, 20))
    spans: dict[tuple[str, Held], Measured] = {}

    def measure(meter: str, held: Held) -> Measured:
        return spans.setdefault((meter, held), found[len(spans) % len(found)])

    for charge in make_charges(bought, billed, measure):
        is_made_again(charge)


def is_made_again(charge: Charge) -> list[str]:
    """Checks that each printed step is true and that the last one is what an invoice says; the
    steps are made of what the charge names, not of what it has come to."""
    stored = wire.decode(Charge, wire.encode(charge))
    told = explain(stored, None, None, [], None)
    assert told.recomputes, told
    assert Decimal(told.exact) == charge.amount
    texts = [step.text for step in told.steps]
    assert [last_value(text) for text in texts][-1] == Fraction(told.rounded)
    mistaken = msgspec.structs.replace(stored, amount=stored.amount + 1)
    assert explain(mistaken, None, None, [], None).recomputes is False
    return texts


SEATS = {"slug": "seats", "quantity": "seats", "model": "unit", "unit_amount": "12"}
REQUESTS = {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.5"}


def explained(body: dict[str, Any], *facts: Any, **more: Any) -> dict[str, list[str]]:
    """The steps of the charges of January, by price."""
    opening = {"plan": "p", "version": 1, "quantities": {"seats": "5"}}
    made = charges(subscription(at(1, 1), *facts, body=opening), body, at(1, 31), **more)
    return {one.price: is_made_again(one) for one in made}


def test_seats_are_made_again_from_how_long_they_were_held() -> None:
    more = ("quantity", at(1, 16, 12), {"name": "seats", "quantity": "6"})
    assert explained(plan(SEATS), more)["seats"] == [
        "5 × 12 = 60",
        "5 seats from 2026-01-01T00:00:00Z to 2026-01-16T12:00:00Z, 1,339,200 of 2,678,400 "
        "seconds: 60 × 1,339,200 ÷ 2,678,400 = 30",
        "6 × 12 = 72",
        "6 seats from 2026-01-16T12:00:00Z to 2026-02-01T00:00:00Z, 1,339,200 of 2,678,400 "
        "seconds: 72 × 1,339,200 ÷ 2,678,400 = 36",
        "30 + 36 = 66",
        "USD: 66, rounded half away from zero to 2 decimals = 66.00",
    ]


def test_a_true_up_names_what_counted() -> None:
    body = plan(REQUESTS, SEATS, commitments=[{"slug": "least", "amount": "100"}])
    assert explained(body, used={at(1, 2): "21"})["least"] == [
        "requests from 2026-01-01T00:00:00Z: 10.5",
        "seats from 2026-01-01T00:00:00Z: 60",
        "Charged towards it: 10.5 + 60 = 70.5",
        "Committed, as an invoice would say it: 100, rounded half away from zero to 2 decimals "
        "= 100.00",
        "Missing: max(100 - 70.5, 0) = 29.5",
        "USD: 29.5, rounded half away from zero to 2 decimals = 29.50",
    ]


def test_used_credit_names_what_it_paid() -> None:
    pack = {"slug": "pack", "amount": "100", "price": "80"}
    told = explained(plan(REQUESTS, credits=[pack]), used={at(1, 2): "21"})
    assert told["pack"][0] == "Prepaid credit of 100: 1 × 80 = 80"
    assert told["pack~used"] == [
        "requests from 2026-01-01T00:00:00Z: 10.5",
        "To be paid: 10.5 = 10.5",
        "Paid by the balance: max(min(10.5, 100), 0) = 10.5",
        "10.5 of 100 credit of 2026-01-01T00:00:00Z: -10.5",
        "Left: 100 - 10.5 = 89.5",
        "USD: -10.5, rounded half away from zero to 2 decimals = -10.50",
    ]


def test_a_trial_and_coupons_are_steps_of_what_they_lower() -> None:
    coupons = [
        {"slug": "third", "percent": "33", "of": ["setup"]},
        {"slug": "sorry", "amount": "20", "of": ["setup"]},
    ]
    setup = {"slug": "setup", "amount": "99.999", "description": "Setup"}
    body = plan(one_offs=[setup], coupons=coupons, trial={"days": 3})
    told = explained(body)
    assert told["setup"] == [
        "Setup: 1 × 99.999 = 99.999",
        "Coupon third, 33 % off: 99.999 × 33 ÷ 100 = 32.99967",
        "99.999 - 32.99967 = 66.99933",
        "As an invoice would say it: 66.99933, rounded half away from zero to 2 decimals = 67.00",
        "Coupon sorry, 20 of it left: min(20, 67) = 20",
        "66.99933 - 20 = 46.99933",
        "USD: 46.99933, rounded half away from zero to 2 decimals = 47.00",
    ]
    [trial, _] = [
        one for one in charges(subscription(at(1, 1)), body, at(1, 31)) if one.kind == "fee"
    ]
    assert is_made_again(trial)[-2:] == [
        "Trial: 0.967741935483870967 - 0.967741935483870967 = 0",
        "USD: 0, rounded half away from zero to 2 decimals = 0.00",
    ]


def test_what_cannot_be_made_again_says_what_is_missing() -> None:
    """Charges of before coupons were named in the evidence, or kinds were told."""
    body = plan(coupons=[{"slug": "half", "percent": "50"}])
    [charge] = charges(subscription(at(1, 1)), body, at(1, 31))
    evidence = {name: said for name, said in charge.evidence.items() if name != "coupons"}
    old = msgspec.structs.replace(charge, evidence=evidence)
    told = explain(old, None, None, [], None)
    assert (told.recomputes, told.exact) == (None, "5")
    assert told.why_not == "the charge's evidence does not name its coupons"
    assert [step.text for step in told.steps][-2:] == [
        "10 + -5 = 5",
        "USD: 5, rounded half away from zero to 2 decimals = 5.00",
    ]
    unknown = explain(msgspec.structs.replace(charge, kind=""), None, None, [], None)
    assert unknown.recomputes is None
    held_back = explain(msgspec.structs.replace(charge, evidence={}), None, None, [], None)
    assert held_back.why_not == "the charge's evidence has no 'period'"


def test_a_share_of_what_has_no_end_is_rounded_once() -> None:
    """A third of 0.05 for 3 of 10 days is half a cent, not a little less."""
    price = {"slug": "seats", "quantity": "seats", "model": "unit", "unit_amount": "0.05"}
    body = plan(price | {"conversion": {"divide": "3"}}, interval={"days": 10})
    history = subscription(at(1, 1), ("end", at(1, 4), {}))
    [charge] = charges(history, body, at(1, 31))
    assert charge.amount == Decimal("0.005")


def test_the_random_plans_have_every_model_that_a_meter_can_be_priced_by() -> None:
    assert set(OF_A_METER) == set(MODELS)
