"""`tollgate explain`: a charge with its meter, its usage and its steps."""

from typing import Any

from tests.unit.client.platform import Platform, Run

CHARGE: dict[str, Any] = {
    "id": "c1",
    "tenant": "acme",
    "subscription": "s",
    "plan": "pro",
    "plan_version": 2,
    "price": "requests",
    "meter": "requests",
    "unit": "request",
    "from": "2026-10-01T00:00:00Z",
    "to": "2026-11-01T00:00:00Z",
    "quantity": "6",
    "amount": "3",
    "currency": "USD",
    "version": 7,
    "closed": True,
}
METER = {
    "slug": "requests",
    "event_type": "http",
    "aggregation": "count",
    "value": None,
    "group_by": {"region": "geo.region", "tags": "tags[0]"},
    "unit": "request",
}
EXPLAINED: dict[str, Any] = {
    "charge": CHARGE,
    "meter": METER,
    "usage": {
        "quantity": "6",
        "aggregation": "count",
        "is_current": True,
        "rows": [],
        "next": None,
    },
    "price": {},
    "steps": [{"kind": "unit", "text": "6 × 0.5 = 3", "tier": None}],
    "exact": "3",
    "rounded": "3.00",
    "residual": "0",
    "recomputes": True,
    "why_not": None,
}


def printed(run: Run, platform: Platform, **said: Any) -> list[str]:
    """The lines, without the branches of the tree."""
    platform.fixed["GET /v1/charges/c1/explain"] = (200, EXPLAINED | said)
    return [line.lstrip(" │├└─") for line in run("explain", "c1")[1].splitlines()]


def test_the_meter_is_told_with_what_it_counts_and_groups_by(run: Run, platform: Platform) -> None:
    told = printed(run, platform)
    assert told[0].startswith("charge c1: 3.00 USD")
    assert (
        "meter requests: count of events http, by region (geo.region), tags (tags[0]): 6 request"
    ) in told
    stored = METER | {"aggregation": "sum", "value": "bytes", "group_by": {}}
    assert "meter requests: sum of bytes of events http: 6 request" in printed(
        run, platform, meter=stored
    )
    assert "meter requests (its definition is not known): 6 request" in printed(
        run, platform, meter=None
    )


def test_what_cannot_be_computed_again_says_so(run: Run, platform: Platform) -> None:
    assert not [line for line in printed(run, platform) if "again" in line]
    told = printed(run, platform, recomputes=None, why_not="the coupons are not named")
    assert told[-1] == "this cannot be computed again: the coupons are not named"
    assert printed(run, platform, recomputes=False)[-1] == "rating this again gives another amount"
