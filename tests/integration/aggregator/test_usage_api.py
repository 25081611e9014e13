"""Usage queries: windows in local time, groups, filters, pages, CSV, and what is refused."""

import csv
import io
from typing import Any

import pytest

from tests.integration.aggregator.world import Api, World, event

pytestmark = pytest.mark.servers

Expected = list[tuple[str, str, str]]


async def windows(api: Api, **parameters: Any) -> Expected:
    """(from, to, value) of each item, for one tenant."""
    return [
        (item["from"], item["to"], item["value"]) for item in await api.usage("bytes", **parameters)
    ]


async def test_windows_groups_filters_and_pages(world: World) -> None:
    async with world.running() as api:
        await api.define(
            "bytes",
            aggregation="sum",
            value="out.bytes",
            unit="bytes",
            group_by={"route": "route", "area": "edge.area"},
        )
        await world.send(
            event(1, out={"bytes": 1}, route="/a", edge={"area": "eu"}),
            event(2, out={"bytes": 2}, route="/b", edge={"area": "eu"}),
            event(3, out={"bytes": 4}, route="/a", edge={"area": "us"}),
            event(4, out={"bytes": 8}, route="/a\x00", edge="odd"),
            event(5, tenant="zeta", out={"bytes": 16}, at="2026-11-24T12:00:00Z"),
        )
        await api.until("bytes", {"acme": "15", "zeta": "16"})

        by_area = await api.usage("bytes", group_by="area", tenant="acme")
        assert [(item["group"], item["value"]) for item in by_area] == [
            ({"area": ""}, "8"),
            ({"area": "eu"}, "3"),
            ({"area": "us"}, "4"),
        ]
        by_both = await api.usage("bytes", group_by="route,area", **{"filter.area": ""})
        assert [(item["tenant"], item["group"], item["value"]) for item in by_both] == [
            ("acme", {"route": "/a\ufffd", "area": ""}, "8"),
            ("zeta", {"route": "", "area": ""}, "16"),
        ]
        assert await api.values("bytes", tenant=["acme", "zeta"]) == {"acme": "15", "zeta": "16"}
        assert await api.values("bytes", tenant="nobody") == {}

        parameters = {
            "meter": "bytes",
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00Z",
            "window": "day",
            "group_by": "route,area",
        }
        whole = (await api.http.get("/v1/usage", params=parameters)).json()["items"]
        paged, cursor = [], None
        for _ in range(10):
            more: dict[str, str] = {"cursor": cursor} if cursor else {}
            page = (await api.http.get("/v1/usage", params=parameters | more | {"limit": 2})).json()
            paged += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        assert paged == whole
        assert len(whole) == 5

        answer = await api.http.get(
            "/v1/usage", params=parameters | {"limit": 4}, headers={"accept": "text/csv"}
        )
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert rows[0] == ["tenant", "from", "to", "route", "area", "value"]
        assert rows[1] == [
            "acme",
            "2026-11-23T00:00:00Z",
            "2026-11-24T00:00:00Z",
            "/a",
            "eu",
            "1",
        ]
        assert len(rows) == 5
        following = answer.links["next"]["url"]
        rest = await api.http.get(following, headers={"accept": "text/csv"})
        assert list(csv.reader(io.StringIO(rest.text)))[1][0] == "zeta"


async def test_windows_are_those_of_the_local_clock(world: World) -> None:
    """One unit a slot at telling instants; each query says which windows they fall in."""
    instants = [
        "2026-03-29T00:59:55Z",  # the last hour before Berlin's clocks go forward
        "2026-03-29T01:00:00Z",
        "2026-03-29T21:59:59Z",  # the last second of that day of 23 hours
        "2026-03-29T22:00:00Z",
        "2026-10-03T15:29:59Z",  # Lord Howe, before 02:00 becomes 02:30
        "2026-10-03T15:30:00Z",
        "2026-10-03T16:00:00Z",
        "2026-11-23T18:14:59Z",  # Kathmandu, before midnight
        "2026-11-23T18:15:00Z",
    ]
    async with world.running() as api:
        await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        await world.send(*(event(n, at=at, bytes=10**n) for n, at in enumerate(instants)))
        await api.until("bytes", {"acme": "1" * len(instants)})

        march = {"from": "2026-03-27T23:00:00Z", "to": "2026-03-31T22:00:00Z"}
        assert await windows(api, window="day", timezone="Europe/Berlin", **march) == [
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "111"),
            ("2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z", "1000"),
        ]
        october = {"from": "2026-10-03T00:00:00Z", "to": "2026-10-05T00:00:00Z"}
        howe = "Australia/Lord_Howe"
        assert await windows(api, window="hour", timezone=howe, **october) == [
            ("2026-10-03T14:30:00Z", "2026-10-03T15:30:00Z", "10000"),
            ("2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z", "100000"),
            ("2026-10-03T16:00:00Z", "2026-10-03T17:00:00Z", "1000000"),
        ]
        november = {"from": "2026-11-22T18:15:00Z", "to": "2026-11-24T18:15:00Z"}
        kathmandu = "Asia/Kathmandu"
        assert await windows(api, window="day", timezone=kathmandu, **november) == [
            ("2026-11-22T18:15:00Z", "2026-11-23T18:15:00Z", "10000000"),
            ("2026-11-23T18:15:00Z", "2026-11-24T18:15:00Z", "100000000"),
        ]
        assert await windows(api, window="hour", timezone=kathmandu, **november) == [
            ("2026-11-23T17:15:00Z", "2026-11-23T18:15:00Z", "10000000"),
            ("2026-11-23T18:15:00Z", "2026-11-23T19:15:00Z", "100000000"),
        ]
        months = await windows(api, window="month", timezone=kathmandu)
        assert [value for _, _, value in months] == ["1111", "1110000", "110000000"]
        assert months[0][:2] == ("2026-02-28T18:15:00Z", "2026-03-31T18:15:00Z")

        # [from, to) is half open, and cut down to slots of ten seconds.
        cut = {"from": "2026-11-23T18:14:50Z", "to": "2026-11-23T18:15:00Z"}
        assert await windows(api, **cut) == [(*cut.values(), "10000000")]
        within = {"from": "2026-11-23T18:14:59.999Z", "to": "2026-11-23T18:15:09Z"}
        assert await windows(api, **within) == [(*cut.values(), "10000000")]
        minutes = await windows(api, window="minute", **november)
        assert [value for _, _, value in minutes] == ["10000000", "100000000"]


async def test_distinct_members_are_counted_over_the_whole_window(world: World) -> None:
    async with world.running() as api:
        await api.define(
            "users",
            aggregation="unique_count",
            value="user",
            unit="users",
            group_by={"route": "route"},
        )
        events = [
            event(n, user=f"u{n % 5}", route=f"/{n % 2}", at=f"2026-11-23T{n % 20:02}:00:00Z")
            for n in range(60)
        ]
        await world.send(*events)
        await api.until("users", {"acme": "5"})
        assert await api.values("users", window="month") == {"acme": "5"}
        grouped = await api.usage("users", group_by="route")
        assert [item["value"] for item in grouped] == ["5", "5"]
        hours = await api.usage("users", window="hour")
        assert len(hours) == 20
        assert {item["value"] for item in hours} == {"1"}


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"meter": "nothing"}, 404, "unknown_meter"),
    ({"meter": "x" * 500}, 422, "invalid_request"),
    ({"window": "week"}, 422, "invalid_request"),
    ({"from": "yesterday"}, 422, "invalid_request"),
    ({"from": "2026-11-23"}, 422, "invalid_request"),
    ({"from": "1795435200"}, 422, "invalid_request"),
    ({"from": "0000-01-01T00:00:00Z"}, 422, "invalid_request"),
    ({"from": "0001-01-01T00:00:00+23:59"}, 422, "invalid_request"),
    ({"from": "1969-01-01T00:00:00Z"}, 422, "invalid_range"),
    ({"to": "2999-01-01T00:00:00Z"}, 422, "invalid_range"),
    ({"to": "9999-12-31T23:59:59-23:59"}, 422, "invalid_request"),
    ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, 422, "invalid_range"),
    ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:09Z"}, 422, "invalid_range"),
    ({"timezone": "Mars/Base"}, 422, "invalid_timezone"),
    ({"timezone": "../../etc/passwd"}, 422, "invalid_timezone"),
    ({"timezone": ""}, 422, "invalid_timezone"),
    ({"group_by": "colour"}, 422, "unknown_dimension"),
    ({"filter.colour": "red"}, 422, "unknown_dimension"),
    ({"window": "minute", "from": "2020-01-01T00:00:00Z"}, 422, "too_many_windows"),
    ({"limit": "0"}, 422, "invalid_request"),
    ({"limit": "many"}, 422, "invalid_request"),
    ({"cursor": "made-up"}, 400, "invalid_cursor"),
    ({"cursor": "WyJ1c2FnZSJd"}, 400, "invalid_cursor"),
    ({"tenant": "a\0b"}, 400, "invalid_text"),
]


async def test_bad_queries_are_refused(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        for parameters, status, code in REFUSED:
            answer = await api.http.get("/v1/usage", params={"meter": "requests"} | parameters)
            assert (answer.status_code, answer.json()["code"]) == (status, code), parameters
        answer = await api.http.get("/v1/usage")
        assert answer.status_code == 422
        for tenant in ("%ff%fe", "%ed%a0%80"):
            answer = await api.http.get(f"/v1/usage?meter=requests&tenant={tenant}")
            assert answer.status_code in (200, 400)
        assert (await api.http.get("/v1/usage", params={"meter": "requests"})).json()["items"] == []
