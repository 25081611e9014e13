"""PUT and GET of meters, and what they refuse."""

from typing import Any

import pytest

from tests.integration.aggregator.world import World, event

pytestmark = pytest.mark.servers


async def test_a_meter_is_defined_once_and_found_again(world: World) -> None:
    async with world.running() as api:
        made = await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        again = await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        assert (made.status_code, again.status_code) == (201, 200)
        assert made.json() == again.json()

        corrected = await api.define("bytes", aggregation="sum", value="bytes", unit="octets")
        assert corrected.status_code == 200
        assert corrected.json()["revision"] > made.json()["revision"]

        refused = await api.define("bytes", aggregation="max", value="bytes", unit="octets")
        assert refused.status_code == 409
        assert refused.json()["code"] == "meter_meaning_changed"
        assert refused.json()["changed"] == ["aggregation"]

        for slug in ("b", "c", "d"):
            await api.define(slug)
        page = (await api.http.get("/v1/meters", params={"limit": 3})).json()
        assert [item["slug"] for item in page["items"]] == ["b", "bytes", "c"]
        rest = await api.http.get("/v1/meters", params={"limit": 3, "cursor": page["next"]})
        assert [item["slug"] for item in rest.json()["items"]] == ["d"]
        assert rest.json()["next"] is None


async def test_a_meter_that_was_changed_meanwhile_is_not_overwritten(world: World) -> None:
    async with world.running() as api:

        async def over(in_force: int, unit: str) -> tuple[int, Any]:
            answer = await api.http.put(
                "/v1/meters/a", params={"in_force": in_force}, json=GOOD | {"unit": unit}
            )
            return answer.status_code, answer.json().get("code") or answer.json()["revision"]

        assert await over(1, "call") == (409, "meter_changed")
        status, revision = await over(0, "call")
        assert (status, await over(0, "call")) == (201, (200, revision))  # Asked again.
        assert await over(0, "request") == (409, "meter_changed")
        assert (await over(revision, "request"))[0] == 200
        assert await over(revision, "call") == (409, "meter_changed")


GOOD: dict[str, Any] = {"event_type": "a", "aggregation": "count"}


BAD: list[tuple[str, Any, int, str]] = [
    ("Bad", GOOD, 422, "invalid_meter"),
    ("a", GOOD | {"slug": "b"}, 422, "invalid_meter"),
    ("a", GOOD | {"value": "x"}, 422, "invalid_meter"),
    ("a", {"event_type": "a", "aggregation": "sum"}, 422, "invalid_meter"),
    ("a", GOOD | {"aggregation": "p95"}, 422, "invalid_meter"),
    ("a", GOOD | {"group_by": {"a": "data.b"}}, 422, "invalid_meter"),
    ("a", GOOD | {"group_by": ["a"]}, 422, "invalid_request"),
    ("a", GOOD | {"event_type": 7}, 422, "invalid_request"),
    ("a", GOOD | {"surprise": 1}, 422, "invalid_request"),
    ("a", {"aggregation": "count"}, 422, "invalid_request"),
    ("a", [], 422, "invalid_request"),
]


async def test_bad_definitions_are_refused(world: World) -> None:
    async with world.running() as api:
        for slug, body, status, code in BAD:
            answer = await api.http.put(f"/v1/meters/{slug}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), body
        assert (await api.http.get("/v1/meters")).json()["items"] == []


NOT_JSON: list[tuple[bytes, int]] = [
    (b'{"event_type":"a","event_type":"b","aggregation":"count"}', 400),
    (b'{"event_type":"a\\u0000","aggregation":"count"}', 400),
    (b'{"event_type":"a\\ud800","aggregation":"count"}', 400),
    (b'{"event_type":NaN,"aggregation":"count"}', 400),
    (b"[" * 100_000, 400),
    (b'{"event_type":"\xff","aggregation":"count"}', 400),
    (b"{" + b" " * 2_000_000 + b"}", 413),
    (b"", 422),
]


async def test_bodies_that_are_not_plain_json_are_refused(world: World) -> None:
    async with world.running() as api:
        for body, status in NOT_JSON:
            headers = {"content-type": "application/json"}
            answer = await api.http.put("/v1/meters/a", content=body, headers=headers)
            assert answer.status_code == status, body[:40]
            assert answer.headers["content-type"] == "application/problem+json"


async def test_unknown_meters_are_unknown(world: World) -> None:
    async with world.running() as api:
        for path in ("/v1/meters/none", "/v1/meters/none/unreadable", "/v1/usage?meter=none"):
            answer = await api.http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_meter")


async def test_what_a_meter_cannot_read_is_listed_and_counted_elsewhere(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        await world.send(
            event(1, bytes=1),
            event(2, bytes="NaN"),
            event(3),
            event(4, bytes=True),
            event(5, bytes="1,5"),
            event(6, bytes=10**25),
        )
        await api.until("requests", {"acme": "6"})
        await api.until("bytes", {"acme": "1"})
        first = (await api.http.get("/v1/meters/bytes/unreadable", params={"limit": 3})).json()
        rest = await api.http.get(
            "/v1/meters/bytes/unreadable", params={"limit": 3, "cursor": first["next"]}
        )
        items = first["items"] + rest.json()["items"]
        assert [(item["id"], item["reason"], item["found"]) for item in items] == [
            ("e6", "out_of_range", str(10**25)),
            ("e5", "not_a_number", '"1,5"'),
            ("e4", "not_a_number", "true"),
            ("e3", "missing", ""),
            ("e2", "not_a_number", '"NaN"'),
        ]
        assert rest.json()["next"] is None
        other = await api.http.get("/v1/meters", params={"cursor": first["next"]})
        assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")
