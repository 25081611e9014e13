"""Every charge of random plans is explained from what it keeps, and comes to its amount again."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts import wire
from common.contracts.charges import Charge
from rating.charging import Measured, make_charges
from rating.explained import explain
from rating.parts.period import Held
from rating.parts.usage import Levels
from rating.prices import MODELS
from tests.unit.rating.random_plans import random_plans
from tests.unit.rating.random_prices import OF_A_METER, REGIONS
from tests.unit.rating.subscribed import at, periods_of, subscription

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


@settings(deadline=None, max_examples=60)
@given(random_plans(), st.lists(measured(), min_size=1, max_size=4))
def test_every_charge_of_a_random_plan_recomputes(
    body: dict[str, Any], found: list[Measured]
) -> None:
    opening = {"plan": "p", "version": 1, "quantities": {"seats": "3"}}
    bought = subscription(at(1, 10, 12), body=opening)
    billed = periods_of(bought, {"p": body}, at(2, 20))
    spans: dict[tuple[str, Held], Measured] = {}

    def measure(meter: str, held: Held) -> Measured:
        return spans.setdefault((meter, held), found[len(spans) % len(found)])

    for charge in make_charges(bought, billed, measure):
        stored = wire.decode(Charge, wire.encode(charge))
        told = explain(stored, None, None, [], None)
        assert told.recomputes, told
        assert Decimal(told.exact) == charge.amount


def test_the_random_plans_have_every_model_that_a_meter_can_be_priced_by() -> None:
    assert set(OF_A_METER) == set(MODELS)
