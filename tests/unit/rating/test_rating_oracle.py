"""The product agrees with a second implementation that shares no code with it.

A few thousand cases here; `make rating-oracle CASES=1000000` runs as many as one likes.
"""

from collections import Counter

import pytest

from rating.price import price_of
from tests.unit.rating.agreement import disagreements
from tests.unit.rating.random_bodies import MODELS, random_body

CASES = 4_000


def test_both_say_the_same_of_thousands_of_random_prices() -> None:
    assert disagreements(range(CASES)) == []


def test_the_random_prices_use_every_model_and_every_modifier() -> None:
    seen = Counter[str]()
    for seed in range(CASES):
        body = random_body(seed)
        seen.update([body["price"]["model"], *body, *body["price"]])
    modifiers = {"conversion", "included", "rollover", "discount", "maximum", "minimum"}
    wanted = {*MODELS, *modifiers, "minimum_quantity", "events", "group", "invoiced", "proration"}
    assert {name: seen[name] for name in wanted if seen[name] < 50} == {}


@pytest.mark.parametrize("seed", range(200))
def test_the_canonical_form_of_any_price_reads_back(seed: int) -> None:
    made = price_of(random_body(seed)["price"])
    assert price_of(made.fields()) == made
