"""GET /v1/usage/events on real Kafka: what it lists adds up to what GET /v1/usage says."""

from decimal import Decimal
from typing import Any

import pytest

from tests.integration.aggregator.world import Api, World, event

pytestmark = pytest.mark.servers
HOUR = {"from": "2026-11-23T12:00:00Z", "to": "2026-11-23T13:00:00Z"}


async def behind(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        wanted = {"meter": "bytes", "tenant": "acme", **HOUR} | parameters | cursor
        answer = await api.http.get("/v1/usage/events", params=wanted)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["is_whole"]
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_the_events_behind_an_hour_add_up_to_its_usage(world: World) -> None:
    async with world.running() as api:
        await api.define(
            "bytes", aggregation="sum", value="bytes", unit="bytes", group_by={"region": "region"}
        )
        sizes = [10, 20, "0.5", 40]
        await world.send(
            *(event(n, bytes=size, region="eu") for n, size in enumerate(sizes)),
            event(10, bytes=7, region="us"),
            event(11, bytes=9, at="2026-11-23T13:00:00Z"),
            event(12, bytes=9, tenant="brill"),
            event(13, bytes="no number"),
        )
        repeated = await world.send(event(20, bytes=100, region="eu"))
        await world.bus.append("usage.events", repeated)
        await api.until("bytes", {"acme": "186.5", "brill": "9"})
        [usage] = [u for u in await api.usage("bytes", **HOUR) if u["tenant"] == "acme"]

        found = await behind(api, limit=2)

        assert sum(Decimal(one["value"]) for one in found) == Decimal(usage["value"])
        assert [one["id"] for one in found] == ["e0", "e1", "e2", "e3", "e10", "e20"]
        assert found[2]["value"] == "0.5"
        assert found[2]["time"] == "2026-11-23T12:00:00Z"
        eu = await behind(api, **{"filter.region": "eu"})
        assert [one["id"] for one in eu] == ["e0", "e1", "e2", "e3", "e20"]


async def test_what_cannot_be_asked(world: World) -> None:
    async with world.running() as api:
        await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        wanted = {"meter": "bytes", "tenant": "acme", **HOUR}
        for changes, status, code in (
            ({"meter": "other"}, 404, "unknown_meter"),
            ({"filter.colour": "red"}, 422, "unknown_dimension"),
            ({"to": HOUR["from"]}, 422, "invalid_range"),
            ({"from": "noon"}, 422, "invalid_request"),
            ({"cursor": "abc"}, 400, "invalid_cursor"),
        ):
            answer = await api.http.get("/v1/usage/events", params=wanted | changes)
            assert (answer.status_code, answer.json()["code"]) == (status, code), changes
