"""`tollgate explain`: a charge with its meter, its usage and its steps."""

from typing import Any

from tests.unit.client.fake import Answer, Asked, Service
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


def level(value: str, start: str, end: str, days: int, **more: Any) -> dict[str, Any]:
    seconds = days * 86_400
    return {
        "group": {},
        "level": value,
        "reported_at": start,
        "from": start,
        "to": end,
        "seconds": str(seconds),
        "unit_seconds": str(int(value) * seconds),
        "hours": str(days * 24),
        "unit_hours": f"{int(value) * days * 24:,}",
        "events": f"/v1/usage/events?meter=stored&tenant=acme&from={start}",
    } | more


def test_a_gauge_is_told_level_by_level(run: Run, platform: Platform, service: Service) -> None:
    first, middle, last = (f"2026-10-{day:02}T00:00:00Z" for day in (1, 5, 8))
    opening = level("100", first, middle, 4, reported_at="2026-09-20T08:00:00Z")
    raised = level("10", middle, last, 3, group={"disk": "a"})
    usage = EXPLAINED["usage"]
    pages = {
        "": usage | {"levels": {"held": [opening], "next": "more"}},
        "more": usage | {"levels": {"held": [raised], "next": None}},
    }
    event = {"time": "2026-09-20T08:00:00Z", "source": "s", "id": "e1", "value": "100"}

    def answer(asked: Asked) -> Answer:
        if asked.path == "/v1/usage/events":
            return 200, {"items": [event] if first in asked.query["from"] else [], "next": None}
        return 200, EXPLAINED | {"usage": pages[asked.query.get("levels_cursor", "")]}

    service.answer = answer
    _, out, _ = run("explain", "c1", "--events", "2026-10-03T12:00:00Z")
    told = [line.lstrip(" │├└─") for line in out.splitlines()]
    assert (
        "100 from 2026-10-01T00:00:00Z to 2026-10-05T00:00:00Z, 96 h: 9,600 unit-hours "
        "(reported before, at 2026-09-20T08:00:00Z)"
    ) in told
    assert (
        "disk=a: 10 from 2026-10-05T00:00:00Z to 2026-10-08T00:00:00Z, 72 h: 720 unit-hours"
    ) in told
    assert told[-2:] == ["events (1)", "2026-09-20T08:00:00Z s e1: 100"]


def test_the_beginning_of_very_many_levels_is_shown(
    run: Run, platform: Platform, service: Service
) -> None:
    first, last = "2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"
    held = [level("1", first, last, 1) for _ in range(25)]
    usage = EXPLAINED["usage"] | {"levels": {"held": held, "next": "more"}}
    told = printed(run, platform, usage=usage)
    assert [line for line in told if line.startswith("1 from")] == [
        f"1 from {first} to {last}, 24 h: 24 unit-hours"
    ] * 24
    assert "and more levels (--json shows all)" in told
    assert len(service.asked) == 1


def test_a_report_is_listed_once_where_its_hour_is_listed(
    run: Run, platform: Platform, service: Service
) -> None:
    hour, next_hour, end = (f"2026-10-01T{hour:02}:00:00Z" for hour in (0, 1, 5))
    row = {
        "from": hour,
        "to": next_hour,
        "group": {},
        "shard": 0,
        "version": 1,
        "events_counted": 1,
        "value": "7",
        "events": f"/v1/usage/events?meter=stored&tenant=acme&from={hour}",
    }
    levels = {"held": [level("7", hour, end, 1)], "next": None}
    platform.fixed["GET /v1/usage/events"] = (
        200,
        {"items": [{"time": hour, "source": "s", "id": "e", "value": "7"}], "next": None},
    )
    platform.fixed["GET /v1/charges/c1/explain"] = (
        200,
        EXPLAINED | {"usage": EXPLAINED["usage"] | {"rows": [row], "levels": levels}},
    )
    for at in ("2026-10-01T00:30:00Z", "2026-10-01T04:00:00Z"):
        assert "events (1)" in run("explain", "c1", "--events", at)[1]
