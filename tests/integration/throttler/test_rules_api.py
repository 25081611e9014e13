"""Rules over HTTP: versions, history, and what bad input gets."""

from typing import Any

import pytest

from tests.integration.throttler.test_crossing import DAILY, put
from tests.integration.throttler.world import World


async def test_a_rule_is_versioned_and_an_equal_body_changes_nothing(world: World) -> None:
    await world.meter()
    async with world.throttler(worker=False) as client:
        one = await put(client, "daily", limit=100)
        assert one["version"] == 1
        assert one["limit"] == "100"
        assert one["applies_to"] == {"all": True}
        assert one["on_failure"] == {"kind": "last_known"}
        assert (await put(client, "daily", limit="100.00", applies_to="all"))["version"] == 1
        assert (await put(client, "daily", limit="250.5"))["version"] == 2
        assert (await client.delete("/v1/rules/daily")).status_code == 204
        assert (await client.delete("/v1/rules/daily")).status_code == 204
        assert (await client.get("/v1/rules/daily")).status_code == 404
        assert (await put(client, "daily"))["version"] == 4

        history = (await client.get("/v1/rules/daily/versions")).json()["items"]
        assert [(one["version"], one["deleted"]) for one in history] == [
            (4, False),
            (3, True),
            (2, False),
            (1, False),
        ]
        assert history[2]["rule"]["limit"] == "250.5"


async def test_a_rule_that_was_changed_meanwhile_is_not_overwritten(world: World) -> None:
    await world.meter()
    async with world.throttler(worker=False) as client:
        await put(client, "other")  # The meter is known by then.

        async def over(in_force: int, limit: str) -> tuple[int, Any]:
            answer = await client.put(
                "/v1/rules/daily", params={"in_force": in_force}, json=DAILY | {"limit": limit}
            )
            return answer.status_code, answer.json().get("code") or answer.json()["version"]

        assert await over(1, "100") == (409, "rule_changed")
        assert await over(0, "100") == (200, 1)
        assert await over(0, "200") == (409, "rule_changed")
        assert await over(0, "100") == (200, 1)  # Asked again: it is as it was wanted.
        assert await over(1, "200") == (200, 2)
        await client.delete("/v1/rules/daily")
        assert await over(2, "300") == (409, "rule_changed")
        assert await over(0, "300") == (200, 4)


async def test_rules_are_listed_in_pages(world: World) -> None:
    await world.meter()
    async with world.throttler(worker=False) as client:
        for slug in ("c", "a", "b"):
            await put(client, slug)
        await client.delete("/v1/rules/b")
        page = (await client.get("/v1/rules", params={"limit": 1})).json()
        assert [one["slug"] for one in page["items"]] == ["a"]
        rest = (await client.get("/v1/rules", params={"cursor": page["next"]})).json()
        assert ([one["slug"] for one in rest["items"]], rest["next"]) == (["c"], None)
        made_up = await client.get("/v1/rules", params={"cursor": "bm9wZQ"})
        assert (made_up.status_code, made_up.json()["code"]) == (400, "invalid_cursor")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in DAILY.items() if key != name}


BAD_RULES: list[tuple[Any, str]] = [
    (without("limit"), "body.limit"),
    (without("meter"), "body.meter"),
    (without("action"), "body.action"),
    (DAILY | {"limit": "1,5"}, "body.limit"),
    (DAILY | {"limit": "-1"}, "body.limit"),
    (DAILY | {"limit": 1.5}, "body.limit"),
    (DAILY | {"limit": "1" * 400}, "body.limit"),
    (DAILY | {"limit": True}, "body.limit"),
    (DAILY | {"limit": None}, "body.limit"),
    (DAILY | {"window": "fortnight"}, "body.window"),
    (DAILY | {"action": {"kind": "deny", "status": 200}}, "body.action.status"),
    (DAILY | {"action": {"kind": "explode"}}, "body.action.kind"),
    (DAILY | {"action": {"kind": "throttle", "rate": "0", "burst": 1}}, "rate"),
    (DAILY | {"action": {"kind": "throttle", "rate": "1", "burst": 0}}, "burst"),
    (DAILY | {"applies_to": {}}, "body.applies_to"),
    (DAILY | {"applies_to": {"tenant": "a", "plan": "b"}}, "body.applies_to"),
    (DAILY | {"mode": "maybe"}, "body.mode"),
    (DAILY | {"on_failure": "panic"}, "body.on_failure"),
    (DAILY | {"on_failure": {"kind": "safe_rate"}}, "body.on_failure"),
    (DAILY | {"release": "101"}, "body"),
    (DAILY | {"surprise": 1}, "body.surprise"),
    ([], "body"),
]


async def test_a_bad_rule_is_told_what_is_wrong(world: World) -> None:
    async with world.throttler(worker=False) as client:
        for body, path in BAD_RULES:
            answer = await client.put("/v1/rules/daily", json=body)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "invalid_request"), problem
            assert any(path in error["path"] for error in problem["errors"]), problem
        assert (await client.get("/v1/rules")).json()["items"] == []


NOT_PLAIN_JSON = [
    ("{", 400, "invalid_json"),
    ('{"limit": NaN}', 400, "invalid_number"),
    ('{"limit": 1' + "0" * 400 + "}", 400, "invalid_number"),
    ('{"limit": "1", "limit": "2"}', 400, "duplicate_key"),
    ('{"meter": "a\\u0000"}', 400, "invalid_text"),
    ('{"meter": "\\ud800"}', 400, "invalid_text"),
    ("[" * 100 + "]" * 100, 400, "too_deep"),
    (" " * (1 << 21), 413, "body_too_large"),
]


async def test_what_is_not_plain_json_is_refused(world: World) -> None:
    async with world.throttler(worker=False) as client:
        for text, status, code in NOT_PLAIN_JSON:
            answer = await client.put(
                "/v1/rules/daily", content=text, headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (status, code), text[:50]


async def test_a_rule_about_an_unknown_meter_is_refused(world: World) -> None:
    async with world.throttler(worker=False) as client:
        away = await client.put("/v1/rules/daily", json=DAILY)
        assert (away.status_code, away.json()["code"]) == (503, "meters_unavailable")
        assert "retry-after" in away.headers

    # Any throttler answers 404 about a meter, so it can play an aggregator that has none.
    async with (
        world.throttler(worker=False) as aggregator,
        world.throttler(worker=False, aggregator_url=str(aggregator.base_url)) as client,
    ):
        unknown = await client.put("/v1/rules/daily", json=DAILY)
        assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_meter")
        assert unknown.json()["errors"][0]["path"] == "body.meter"


BAD_PATHS = [
    "/v1/decisions?since=-1",
    "/v1/decisions?since=x",
    "/v1/decisions?since=99999999999999999999999",
    "/v1/decisions?wait=NaN",
    "/v1/decisions?limit=0",
    "/v1/decisions/acme/log?limit=100000",
    "/v1/rules/UPPER",
    f"/v1/rules/{'a' * 64}",
    f"/v1/decisions/{'a' * 257}",
]


async def test_bad_parameters_are_told(world: World) -> None:
    async with world.throttler(worker=False) as client:
        for path in BAD_PATHS:
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), path


async def test_an_unknown_tenant_is_allowed_and_said_to_be_unknown(world: World) -> None:
    async with world.throttler(worker=False) as client:
        answer = await client.get("/v1/decisions/nobody")
        assert answer.status_code == 200
        body = answer.json()
        assert (body["state"], body["known"], body["revision"]) == ("allow", False, 0)
        assert (await client.get("/v1/decisions/nobody/log")).json() == {"items": [], "next": None}


async def test_every_route_needs_its_scope(world: World) -> None:
    from hashlib import sha256

    tokens = {sha256(b"reader").hexdigest(): ["decisions:read"]}
    async with world.throttler(worker=False, auth_tokens=tokens) as client:
        assert (await client.get("/v1/decisions")).status_code == 401
        client.headers["Authorization"] = "Bearer reader"
        assert (await client.get("/v1/decisions")).status_code == 200
        refused = await client.put("/v1/rules/daily", json=DAILY)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_the_log_and_the_versions_cannot_be_rewritten(world: World) -> None:
    import asyncpg

    await world.meter()
    async with world.throttler(worker=False) as client:
        await put(client, "daily")
    connection = await asyncpg.connect(world.service_url)
    try:
        for statement in (
            "UPDATE throttler.rule_versions SET version = 9",
            "DELETE FROM throttler.decision_log",
        ):
            with pytest.raises(asyncpg.RaiseError, match="append only"):
                await connection.execute(statement)
    finally:
        await connection.close()
