"""The collector's HTTP API, in process, with a centre that can be away."""

import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from asgi_lifespan import LifespanManager

from collector.main import build
from collector.settings import Settings
from common.settings import UnsafeSettings
from tests.integration.collector.centre import Centre, decision, running_centre
from tests.support.eventually import eventually

NOW = "2026-11-23T09:00:00Z"
JSON = {"content-type": "application/json"}


@dataclass
class Api:
    client: httpx.AsyncClient
    centre: Centre

    async def post(self, content: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/v1/events", content=content, headers=JSON | named)

    async def status(self) -> dict[str, Any]:
        answer = await self.client.get("/v1/status")
        assert answer.status_code == 200
        status: dict[str, Any] = answer.json()
        return status


Opener = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre() as centre:
        yield centre


@pytest.fixture
def opened(tmp_path: Path, centre: Centre) -> Opener:
    """Opens the node of this test: the same spool each time."""

    @asynccontextmanager
    async def open_node(**settings: Any) -> AsyncIterator[Api]:
        values: dict[str, Any] = {
            "node": "edge-1",
            "spool_dir": tmp_path / "spool",
            "ingest_url": centre.url,
            "throttler_url": centre.url,
            "ship_linger_seconds": 0.02,
            "ship_heartbeat_seconds": 0.2,
        } | settings
        app = build(Settings(**values))
        async with LifespanManager(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                yield Api(client, centre)

    return open_node


@pytest.fixture
async def api(opened: Opener) -> AsyncIterator[Api]:
    async with opened() as api:
        yield api


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "source": "app",
        "type": "job.done",
        "subject": "acme",
        "data": {"n": number},
    } | fields


def encoded(*events: dict[str, Any]) -> bytes:
    return json.dumps(list(events)).encode()


async def test_events_are_taken_and_reach_the_centre(api: Api) -> None:
    answer = await api.post(encoded(event(1), event(2)))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "rejected": []})
    await eventually(lambda: len(api.centre.taken) == 2)
    assert [one["id"] for one in api.centre.events] == ["1", "2"]
    assert api.centre.events[0]["tollgatestamped"] is True


async def test_all_forms_of_a_body(api: Api) -> None:
    one, two = json.dumps(event(1)).encode(), json.dumps(event(2)).encode()
    forms = [
        (one, {"content_type": "application/cloudevents+json"}),
        (encoded(event(1)), {"content_type": "application/cloudevents-batch+json"}),
        (one + b"\n" + two + b"\n", {"content_type": "application/x-ndjson"}),
        (gzip.compress(one), {"content_encoding": "gzip"}),
        (zstandard.compress(one), {"content_encoding": "zstd"}),
    ]
    for content, headers in forms:
        answer = await api.post(content, **headers)
        assert answer.status_code == 200, answer.text


async def test_good_ones_are_taken_and_bad_ones_listed(api: Api) -> None:
    answer = await api.post(encoded(event(1), event(2, subject=None), event(3)))
    assert answer.status_code == 200
    body = answer.json()
    assert body["accepted"] == 2
    assert [(item["index"], item["id"], item["code"]) for item in body["rejected"]] == [
        (1, "2", "invalid_field")
    ]
    parked = (await api.client.get("/v1/parked")).json()["items"]
    assert [(item["origin"], item["reason"]) for item in parked] == [("app", "invalid_field")]


async def test_none_taken_is_422_with_the_list(api: Api) -> None:
    answer = await api.post(encoded(event(1, subject=""), event(2, time="1970-01-01T00:00:00Z")))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "all_rejected"
    assert [item["code"] for item in answer.json()["rejected"]] == ["invalid_field", "too_old"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"hello", {}, 400),
        (b"[1", {}, 400),
        (b"{}", {"content_encoding": "br"}, 415),
        (b"{}", {"content_type": "text/csv"}, 415),
        (b"{}", {"content_encoding": "gzip"}, 400),
        (gzip.compress(b" " * (33 << 20)), {"content_encoding": "gzip"}, 413),
        (zstandard.compress(b" " * (33 << 20)), {"content_encoding": "zstd"}, 413),
        (b" " * (33 << 20), {}, 413),
        (b"[" * 10_000, {}, 400),
    ],
)
async def test_what_cannot_be_read_changes_nothing(
    api: Api, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await api.post(content, **headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    spool = (await api.status())["spool"]
    assert (spool["next_seq"], spool["parked"]) == (1, 0)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"id":"\\ud800","source":"a","type":"t","subject":"s"}', "invalid_json"),
        (b'{"id":"a\\u0000","source":"a","type":"t","subject":"s"}', "invalid_field"),
        (b'{"id":"1","id":"2","source":"a","type":"t","subject":"s"}', "duplicate_key"),
        (b'{"id":"1","source":"a","type":"t","subject":"s","data":NaN}', "invalid_json"),
        (b'{"id":1,"source":"a","type":"t","subject":"s"}', "invalid_field"),
        (b'{"id":"1","source":"a","type":"t","subject":"s","time":"soon"}', "invalid_time"),
        (
            b'{"id":"1","source":"a","type":"t","subject":"s","data":'
            + b"[" * 70
            + b"]" * 70
            + b"}",
            "too_deep",
        ),
    ],
)
async def test_bad_events_have_codes(api: Api, raw: bytes, code: str) -> None:
    answer = await api.post(b"[" + raw + b"]")
    assert answer.status_code == 422, answer.text
    assert [item["code"] for item in answer.json()["rejected"]] == [code]


async def test_a_full_spool_says_so_loudly_and_keeps_the_old(
    opened: Opener, centre: Centre
) -> None:
    centre.answers = ["503"] * 100_000
    async with opened(spool_max_bytes=1 << 20) as api:
        taken = 0
        for number in range(200):
            answer = await api.post(encoded(event(number, data={"x": "y" * 20_000})))
            if answer.status_code != 200:
                break
            taken += 1
        assert 20 < taken < 60
        assert answer.status_code == 503
        assert answer.json()["code"] == "spool_full"
        assert int(answer.headers["retry-after"]) > 0
        assert (await api.status())["spool"]["full"] is True
        ready = await api.client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["spool_has_room"]) == (503, False)
        metrics = (await api.client.get("/metrics")).text
        assert "tollgate_collector_spool_full 1.0" in metrics
        centre.answers = []
        await eventually(lambda: len(centre.taken) == taken, timeout=20)
        assert (await api.post(encoded(event(1000)))).status_code == 200
        assert (await api.client.get("/readyz")).status_code == 200


async def test_check_answers_apps(api: Api) -> None:
    async def check(**question: Any) -> dict[str, Any]:
        answer = await api.client.post("/v1/check", json=question)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    assert (await check(tenant="acme"))["allow"] is True
    await api.centre.publish(decision("acme", 1, status=402))

    async def denied() -> bool:
        return not (await check(tenant="acme"))["allow"]

    await eventually(denied)
    verdict = await check(tenant="acme")
    assert verdict["status"] == 402
    assert verdict["decision"]["rule"] == "daily-requests"
    assert verdict["decision"]["limit"] == "100"
    await api.centre.publish(decision("acme", 2, state="throttle", rate="0.001", burst=10))

    async def allowed() -> bool:
        return bool((await check(tenant="acme", cost=0))["allow"])

    await eventually(allowed)
    assert (await check(tenant="acme", cost=10))["allow"] is True
    refused = await check(tenant="acme", cost=1)
    assert (refused["status"], refused["allow"]) == (429, False)
    assert 900 <= refused["retry_after"] <= 1000


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"tenant":"a","tenant":"b"}', 400),
        (b'{"tenant":"a\\u0000"}', 400),
        (b'{"cost":1}', 422),
        (b'{"tenant":5}', 422),
        (b'{"tenant":""}', 422),
        (b'{"tenant":"a","cost":-1}', 422),
        (b'{"tenant":"a","cost":1.5}', 422),
        (b'{"tenant":"a","surprise":1}', 422),
        (b"[" * 60_000, 400),
        (b" " * 70_000, 413),
    ],
)
async def test_bad_questions(api: Api, content: bytes, status: int) -> None:
    answer = await api.client.post("/v1/check", content=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_authorize_speaks_nginx(api: Api) -> None:
    answer = await api.client.get("/v1/authorize", headers={"X-Tollgate-Tenant": "acme"})
    assert (answer.status_code, answer.headers["x-tollgate-status"]) == (200, "200")
    await api.centre.publish(decision("acme", 1, reason="le quota « jour » est épuisé\n"))

    async def denied() -> bool:
        answer = await api.client.get("/v1/authorize", headers={"X-Tollgate-Tenant": "acme"})
        return answer.status_code == 403

    await eventually(denied)
    answer = await api.client.get("/v1/authorize", headers={"X-Tollgate-Tenant": "acme"})
    assert answer.headers["x-tollgate-status"] == "429"
    problem = json.loads(answer.headers["x-tollgate-problem"])
    assert problem["detail"] == "le quota « jour » est épuisé\n"
    assert answer.headers["ratelimit-policy"] == '"daily-requests";q=100'
    nobody = await api.client.get("/v1/authorize")
    assert (nobody.status_code, nobody.headers["x-tollgate-status"]) == (403, "401")
    assert (await api.client.post("/v1/authorize")).status_code == 405


async def test_the_status_tells_when_a_decision_took_effect(api: Api) -> None:
    await api.centre.publish(decision("acme", 3), decision("basta", 4))

    async def applied() -> bool:
        return bool((await api.status())["decisions"]["revision"] == 4)

    await eventually(applied)
    decisions = (await api.client.get("/v1/status?tenant=acme")).json()["decisions"]
    assert [held["tenant"] for held in decisions["held"]] == ["acme"]
    assert decisions["held"][0]["applied_at"] > NOW
    assert decisions["via"] == "sse"
    spool = (await api.status())["spool"]
    assert spool["node"] == "edge-1"


async def test_enforcement_survives_a_restart_with_the_centre_away(
    opened: Opener, centre: Centre
) -> None:
    await centre.publish(decision("acme", 3))
    async with opened() as api:

        async def denied() -> bool:
            answer = await api.client.post("/v1/check", json={"tenant": "acme"})
            return not answer.json()["allow"]

        await eventually(denied)
    nowhere = "http://127.0.0.1:1"
    async with opened(throttler_url=nowhere, ingest_url=nowhere) as api:
        answer = await api.client.get("/v1/authorize", headers={"X-Tollgate-Tenant": "acme"})
        assert answer.status_code == 403
        assert (await api.post(encoded(event(1)))).status_code == 200
        decisions = (await api.status())["decisions"]
        assert decisions["loaded_revision"] == 3
        assert decisions["held"][0]["applied_at"] is None
        assert (await api.client.get("/readyz")).status_code == 200


async def test_a_damaged_decisions_file_does_not_stop_the_node(
    opened: Opener, tmp_path: Path
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "decisions.sqlite").write_bytes(b"not a database at all" * 100)
    async with opened() as api:
        assert (await api.client.get("/healthz")).status_code == 200
    assert (tmp_path / "spool" / "decisions.damaged").exists()


async def test_tokens_guard_every_route(opened: Opener) -> None:
    tokens = {
        sha256(b"app").hexdigest(): ["events:write", "node:check"],
        sha256(b"ops").hexdigest(): ["node:read"],
    }
    async with opened(auth_tokens=tokens) as api:
        app = {"Authorization": "Bearer app"}
        ops = {"Authorization": "Bearer ops"}
        question = {"tenant": "acme"}
        assert (await api.client.post("/v1/check", json=question)).status_code == 401
        assert (await api.client.post("/v1/check", json=question, headers=ops)).status_code == 403
        assert (await api.client.post("/v1/check", json=question, headers=app)).status_code == 200
        assert (await api.client.get("/v1/authorize")).status_code == 401
        assert (await api.client.get("/v1/status")).status_code == 401
        assert (await api.client.get("/v1/status", headers=ops)).status_code == 200
        assert (await api.post(encoded(event(1)))).status_code == 401
        assert (await api.post(encoded(event(1)), **app)).status_code == 200
        assert (await api.client.get("/healthz")).status_code == 200


def test_an_open_address_without_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings, match="TOLLGATE_AUTH_TOKENS"):
        Settings(host="0.0.0.0", spool_dir=tmp_path)


async def test_a_made_up_cursor(api: Api) -> None:
    answer = await api.client.get("/v1/parked?cursor=xyz")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_an_empty_array_is_a_batch_without_events(api: Api) -> None:
    answer = await api.post(b"[]")
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": []})
