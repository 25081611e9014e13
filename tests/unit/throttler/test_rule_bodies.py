"""How a rule's body becomes a rule, and its canonical form."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.contracts.decisions import OnFailure
from throttler.rules import AppliesTo, Deny, Throttle
from throttler.schemas import RuleIn

BODY: dict[str, Any] = {
    "meter": "requests",
    "applies_to": {"plan": "free"},
    "window": "billing_period",
    "limit": "100000",
    "action": {"kind": "deny", "status": 402},
}


def test_a_rule_says_what_it_means() -> None:
    rule = RuleIn.model_validate(BODY).rule("free", 3)
    assert (rule.slug, rule.version, rule.meter) == ("free", 3, "requests")
    assert rule.applies_to == AppliesTo("plan", "free")
    assert rule.limit == Decimal(100000)
    assert rule.action == Deny(402)
    assert rule.mode == "enforce"
    assert rule.on_failure == OnFailure(kind="last_known")


def test_short_forms() -> None:
    rule = RuleIn.model_validate(
        BODY
        | {
            "applies_to": "all",
            "action": {"kind": "throttle", "rate": "2.5", "burst": 4},
            "on_failure": "fail_closed",
        }
    ).rule("r", 1)
    assert rule.applies_to == AppliesTo("all")
    assert rule.action == Throttle(Decimal("2.5"), 4)
    assert rule.on_failure == OnFailure(kind="fail_closed")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"limit": 100}, {"limit": "100.000"}),
        ({"applies_to": "all"}, {"applies_to": {"all": True}}),
        ({"on_failure": "fail_open"}, {"on_failure": {"kind": "fail_open"}}),
        ({"mode": "enforce"}, {}),
    ],
)
def test_bodies_that_mean_the_same_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    canonical = [RuleIn.model_validate(BODY | body).canonical() for body in (one, other)]
    assert canonical[0] == canonical[1]


def test_a_rule_without_a_limit_is_told_so() -> None:
    body = {key: value for key, value in BODY.items() if key != "limit"}
    with pytest.raises(ValidationError) as raised:
        RuleIn.model_validate(body)
    assert [error["loc"] for error in raised.value.errors()] == [("limit",)]


@given(st.decimals(0, 10**20 - 1, places=18, allow_nan=False))
def test_limits_are_exact_and_keep_their_value(limit: Decimal) -> None:
    rule = RuleIn.model_validate(BODY | {"limit": format(limit, "f")})
    assert rule.limit == limit
    again = RuleIn.model_validate(rule.canonical())
    assert again.canonical() == rule.canonical()
    assert again.rule("r", 1) == rule.rule("r", 1)


@given(st.one_of(st.text(max_size=30), st.floats(), st.booleans(), st.none()))
def test_what_is_not_a_decimal_is_refused_and_nothing_breaks(limit: Any) -> None:
    try:
        rule = RuleIn.model_validate(BODY | {"limit": limit})
    except ValidationError:
        return
    assert rule.limit >= 0
    assert rule.limit.is_finite()
