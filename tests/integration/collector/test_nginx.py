"""The template that users copy, in a real nginx, with a real collector behind it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.integration.collector.centre import Centre, decision, running_centre
from tests.integration.collector.daemon import collector_process
from tests.integration.collector.nginx import BINARY, Nginx, free_port, running_nginx
from tests.support.eventually import eventually
from tests.support.serving import serving

pytestmark = pytest.mark.skipif(BINARY is None, reason="nginx is not installed on this machine")

KEYS = {"key-acme": "acme", "key-basta": "basta"}
HELLO = b"hello from the app"
WINDOW_END = "2099-01-01T00:00:00Z"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The upstream: echoes its path, and refuses by itself where it is told to."""
    if scope["type"] != "http":
        return
    status = int(scope["path"].removeprefix("/status/")) if "/status/" in scope["path"] else 200
    headers = [(b"content-length", b"%d" % len(HELLO))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": HELLO})


class Edge:
    """nginx, the collector and the centre of one node."""

    def __init__(self, nginx: Nginx, port: int, centre: Centre, directory: Path) -> None:
        self.nginx = nginx
        self.port = port
        self.centre = centre
        self.directory = directory
        self.client = httpx.AsyncClient(base_url=nginx.url, timeout=60)

    async def get(self, path: str = "/", key: str | None = "key-acme") -> httpx.Response:
        headers = {"X-API-Key": key} if key else {}
        return await self.client.get(path, headers=headers)

    def collector(self) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        return collector_process(self.directory, self.port, self.centre.url, self.nginx.log)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.nginx.log.read_text().splitlines()]


@pytest.fixture
async def edge(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Edge]:
    port = free_port()
    patience: str = getattr(request, "param", "20s")
    async with (
        running_centre() as centre,
        serving(application) as app,
        running_nginx(
            tmp_path,
            app_port=int(app.rsplit(":", 1)[1]),
            collector_port=port,
            keys=KEYS,
            patience=patience,
        ) as nginx,
    ):
        edge = Edge(nginx, port, centre, tmp_path)
        yield edge
        await edge.client.aclose()


async def test_what_nginx_answers_for_each_decision(edge: Edge) -> None:
    async with edge.collector():
        answer = await edge.get()
        assert (answer.status_code, answer.text) == (200, HELLO.decode())

        await edge.centre.publish(decision("acme", 1, window_end=WINDOW_END, expires_at=WINDOW_END))
        await eventually(lambda: _status_becomes(edge, 429))
        answer = await edge.get()
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 1000
        assert answer.headers["ratelimit-policy"] == '"daily-requests";q=100'
        assert answer.headers["ratelimit"].startswith('"daily-requests";r=0;t=')
        problem = answer.json()
        assert problem["rule"] == "daily-requests"
        assert problem["status"] == 429
        assert problem["code"] == "limit_exceeded"
        assert (await edge.get(key="key-basta")).status_code == 200

        for revision, (status, code) in enumerate(
            [(402, "payment_required"), (403, "forbidden")], 2
        ):
            reason = 'prepaid "credit" is used up: 0 € left'
            await edge.centre.publish(decision("acme", revision, status=status, reason=reason))
            await eventually(partial(_status_becomes, edge, status))
            answer = await edge.get()
            assert answer.json()["code"] == code
            assert answer.json()["detail"] == reason
            assert "retry-after" not in answer.headers

        await edge.centre.publish(decision("acme", 4, state="throttle", rate="0.1", burst=2))
        await eventually(lambda: _status_becomes(edge, 200))
        answers = [await edge.get() for _ in range(3)]
        assert answers[-1].status_code == 429
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 10

        await edge.centre.publish(decision("acme", 5, mode="shadow", state="allow", status=200))
        await eventually(lambda: _status_becomes(edge, 200))


async def _status_becomes(edge: Edge, status: int) -> bool:
    return (await edge.get()).status_code == status


async def test_an_unknown_key_is_answered_by_nginx_itself(edge: Edge) -> None:
    for key in (None, "key-nobody"):
        answer = await edge.get(key=key)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "unknown_api_key"
    bearer = await edge.client.get("/", headers={"Authorization": "Bearer key-acme"})
    assert bearer.status_code == 200
    await eventually(lambda: len(edge.lines()) == 3)
    said = [(line["tenant"], line["gate"], line["status"]) for line in edge.lines()]
    assert said == [("", "none", "401"), ("", "none", "401"), ("acme", "open", "200")]


async def test_the_upstreams_own_refusals_pass_untouched(edge: Edge) -> None:
    async with edge.collector():
        for status in (401, 402, 403, 429, 503):
            answer = await edge.get(f"/status/{status}")
            assert (answer.status_code, answer.text) == (status, HELLO.decode())


async def test_requests_go_through_while_the_collector_is_killed(edge: Edge) -> None:
    stop = asyncio.Event()
    statuses: list[int] = []

    async def load() -> None:
        while not stop.is_set():
            statuses.append((await edge.get("/load")).status_code)

    async with edge.collector() as process:
        workers = [asyncio.create_task(load()) for _ in range(4)]
        await eventually(lambda: len(statuses) > 50)
        process.kill()
        await process.wait()
        killed_at = len(statuses)
        await eventually(lambda: len(statuses) > killed_at + 200)
    async with edge.collector():
        again_at = len(statuses)
        await eventually(lambda: len(statuses) > again_at + 100)
        stop.set()
        await asyncio.gather(*workers)
        assert set(statuses) == {200}
        assert {line["gate"] for line in edge.lines()} == {"allow", "open"}
        # Every line, also those of the time without a collector, is usage once.
        await eventually(lambda: len(edge.centre.taken) == len(statuses), timeout=20)
    sent = [event["data"]["request_id"] for event in edge.centre.events]
    assert sorted(sent) == sorted(str(line["request_id"]) for line in edge.lines())


@pytest.mark.parametrize("edge", ["250ms"], indirect=True)
async def test_a_collector_that_hangs_costs_a_moment_and_no_request(edge: Edge) -> None:
    async with edge.collector() as process:
        assert (await edge.get()).status_code == 200
        process.send_signal(signal.SIGSTOP)
        try:
            answer = await edge.get()
        finally:
            process.send_signal(signal.SIGCONT)
        assert answer.status_code == 200


async def test_the_log_becomes_usage_across_a_rotation(edge: Edge) -> None:
    await edge.centre.publish(decision("basta", 1))
    async with edge.collector():
        await eventually(lambda: _denied(edge))
        for number in range(20):
            await edge.get(f'/before/{number}?q=ä"\\')
        edge.nginx.log.rename(edge.nginx.log.with_name("tollgate.log.1"))
        for number in range(5):
            await edge.get(f"/between/{number}")
        await edge.nginx.reopen()
        await eventually(edge.nginx.log.exists)
        for number in range(20):
            await edge.get(f"/after/{number}")
        await edge.get(key=None)
        await edge.get(key="key-basta")
        await eventually(lambda: len(edge.centre.taken) >= 45)
        await eventually(lambda: _sealed(edge))
    assert len(edge.centre.taken) == 45
    event = edge.centre.events[0]
    assert event["source"] == "edge-1/nginx"
    assert event["subject"] == "acme"
    assert event["data"]["status"] == 200
    assert event["data"]["bytes"] == len(HELLO)
    assert {event["subject"] for event in edge.centre.events} == {"acme"}


async def _denied(edge: Edge) -> bool:
    return (await edge.get(key="key-basta")).status_code == 429


def _sealed(edge: Edge) -> bool:
    last = max(event["time"] for event in edge.centre.events)
    return bool(edge.centre.batches[-1]["sealed_through"] > last)
