"""The ASGI middleware before a small application: metering, enforcement, backpressure."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from common.contracts.decisions import Decision
from tests.support.eventually import eventually
from tests.support.serving import serving
from tests.unit.client import fake
from tollgate import AsyncClient, Patience
from tollgate.asgi import Observed, Tollgate, by_header
from tollgate.enforcement import Gate
from tollgate.metering import Sender

KEYS = {"k-acme": "acme", "k-globex": "globex"}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """200 with 5 bytes; /fail raises before it answers."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/fail":
        raise RuntimeError("the application failed")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hel", "more_body": True})
    await send({"type": "http.response.body", "body": b"lo"})


class Throttler:
    """Speaks the throttler's event stream; `streams` false: only JSON."""

    def __init__(self, *, streams: bool = True) -> None:
        self.streams = streams
        self.decisions: list[Decision] = []
        self.changed = asyncio.Event()
        self.asked: list[str] = []

    def decide(self, tenant: str, state: str, **more: Any) -> None:
        now = datetime.now(UTC)
        fields: dict[str, Any] = {
            "status": 429,
            "rule": "daily",
            "limit": Decimal(10),
            "usage": Decimal(10),
            "window_end": now + timedelta(hours=1),
        }
        revision = len(self.decisions) + 1
        self.decisions.append(
            Decision(
                tenant=tenant,
                state=state,  # type: ignore[arg-type]
                revision=revision,
                decided_at=now,
                **(fields | more if state != "allow" else more),
            )
        )
        self.changed.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await hello(scope, receive, send)
        query = scope["query_string"].decode()
        self.asked.append(query)
        accept = dict(scope["headers"]).get(b"accept", b"")
        if b"event-stream" not in accept:
            return await self._answer(send, 200, b"application/json", self._body(0, snapshot=True))
        if not self.streams:
            return await self._answer(send, 502, b"text/plain", b"no streams through here")
        kind = b"text/event-stream"
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
        await send(start)
        sent = int(query.partition("since=")[2] or 0)
        event = b"delta" if sent else b"snapshot"
        gone = asyncio.create_task(receive_disconnect(receive))
        while not gone.done():
            self.changed.clear()
            await self._event(send, event, self._body(sent, snapshot=event == b"snapshot"))
            sent, event = len(self.decisions), b"delta"
            changed = asyncio.create_task(self.changed.wait())
            await asyncio.wait({gone, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def _body(self, since: int, *, snapshot: bool) -> bytes:
        newest = {one.tenant: one for one in self.decisions if one.revision > since}
        return msgspec.json.encode(
            {
                "revision": len(self.decisions),
                "snapshot": snapshot,
                "items": list(newest.values()),
                "next": None,
            }
        )

    async def _event(self, send: Any, kind: bytes, data: bytes) -> None:
        body = b"event: %s\ndata: %s\n\n" % (kind, data)
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _answer(self, send: Any, status: int, kind: bytes, body: bytes) -> None:
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def receive_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Collector:
    """Takes events; `answer` may be changed."""

    def __init__(self) -> None:
        self.answer: fake.Answer | None = (200, {"accepted": 1, "rejected": []})
        self.events: dict[tuple[str, str], dict[str, Any]] = {}

    def __call__(self, asked: fake.Asked) -> fake.Answer | None:
        if self.answer is not None and self.answer[0] == 200:
            import gzip

            body = asked.body
            if asked.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for one in json.loads(body, parse_float=Decimal):
                self.events[one["source"], one["id"]] = one
        return self.answer


@asynccontextmanager
async def gated(
    collector: Collector, throttler: Throttler, **options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Tollgate]]:
    """`hello` behind the middleware, on a real socket."""
    with fake.serving(collector) as events_to:
        async with serving(throttler) as decisions_from:
            client = AsyncClient(
                collector=events_to.address,
                throttler=decisions_from,
                patience=Patience(total_seconds=0.2, pause_max_seconds=0.05),
            )
            sender = Sender(
                client, linger_seconds=0.01, pause_seconds=0.05, max_events=options.pop("room", 100)
            )
            middleware = Tollgate(
                hello,
                tenant=by_header("x-api-key", KEYS),
                client=client,
                sender=sender,
                gate=Gate(client, pause_max_seconds=0.1),
                full_wait_seconds=0.1,
                **options,
            )
            async with serving(middleware) as url, httpx.AsyncClient(base_url=url) as user:
                user.headers["x-api-key"] = "k-acme"
                yield user, middleware


async def test_a_request_becomes_one_event() -> None:
    collector = Collector()
    async with gated(collector, Throttler(), source="app-1") as (user, _):
        assert (await user.get("/hi")).text == "hello"
        await eventually(lambda: collector.events)
    (one,) = collector.events.values()
    assert (one["type"], one["subject"], one["source"]) == ("http.request", "acme", "app-1")
    assert one["data"]["status"] == 200
    assert one["data"]["bytes"] == 5
    assert (one["data"]["method"], one["data"]["uri"]) == ("GET", "/hi")
    assert 0 <= one["data"]["request_time"] < 5


async def test_shutting_down_sends_what_is_left() -> None:
    collector = Collector()
    async with gated(collector, Throttler()) as (user, _):
        for _ in range(30):
            await user.get("/")
    assert len(collector.events) == 30


async def test_an_event_is_recorded_when_the_application_fails() -> None:
    collector = Collector()
    async with gated(collector, Throttler()) as (user, _):
        assert (await user.get("/fail")).status_code == 500
    assert [one["data"]["status"] for one in collector.events.values()] == [500]


async def test_only_the_denied_tenant_is_refused_and_refusals_are_not_metered() -> None:
    collector, throttler = Collector(), Throttler()
    throttler.decide("acme", "deny", status=402)
    async with gated(collector, throttler) as (user, _):
        refused = await user.get("/")
        assert refused.status_code == 402
        assert refused.headers["content-type"] == "application/problem+json"
        assert 3590 <= int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["ratelimit"].startswith('"daily";r=0;t=')
        assert refused.json()["rule"] == "daily"
        assert refused.json()["code"] == "payment_required"
        assert (await user.get("/", headers={"x-api-key": "k-globex"})).status_code == 200
    assert [one["subject"] for one in collector.events.values()] == ["globex"]


async def test_decisions_take_effect_while_it_runs() -> None:
    throttler = Throttler()
    async with gated(Collector(), throttler) as (user, _):
        assert (await user.get("/")).status_code == 200
        throttler.decide("acme", "deny")

        async def answers(status: int) -> bool:
            return (await user.get("/")).status_code == status

        await eventually(lambda: answers(429))
        throttler.decide("acme", "allow")
        await eventually(lambda: answers(200))
        throttler.decide("acme", "throttle", rate=Decimal("0.1"), burst=2)
        await eventually(lambda: answers(429))


async def test_without_streams_decisions_are_polled() -> None:
    throttler = Throttler(streams=False)
    throttler.decide("acme", "deny")
    async with gated(Collector(), throttler) as (user, _):

        async def refused() -> bool:
            return (await user.get("/")).status_code == 429

        await eventually(refused)


async def test_a_request_of_nobody_passes_unmetered() -> None:
    collector = Collector()
    async with gated(collector, Throttler()) as (user, _):
        assert (await user.get("/", headers={"x-api-key": "made-up"})).status_code == 200
    assert collector.events == {}


async def test_a_full_buffer_holds_requests_and_loses_nothing() -> None:
    collector = Collector()
    collector.answer = (503, {"code": "spool_full"}, {"Retry-After": "0"})
    async with gated(collector, Throttler(), room=3) as (user, middleware):
        statuses = [(await user.get("/")).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 503, 503]
        assert middleware.sender is not None
        assert middleware.sender.refused == 2
        collector.answer = (200, {"accepted": 1, "rejected": []})

        async def served() -> bool:
            return (await user.get("/")).status_code == 200

        await eventually(served)
    assert len(collector.events) == 4
    assert middleware.sender.lost == 0


async def test_what_cannot_be_delivered_is_counted_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector = Collector()
    collector.answer = (400, {"code": "invalid_json", "detail": "no"})
    async with gated(collector, Throttler()) as (user, middleware):
        await user.get("/")
        assert middleware.sender is not None
        await eventually(lambda: middleware.sender and middleware.sender.lost == 1)
    assert "1 events are lost" in caplog.text


async def test_what_an_event_says_can_be_chosen() -> None:
    def describe(scope: Any, observed: Observed) -> dict[str, Any] | None:
        return None if scope["path"] == "/health" else {"units": observed.body_bytes * 2}

    collector = Collector()
    async with gated(collector, Throttler(), describe=describe) as (user, _):
        await user.get("/health")
        await user.get("/")
    assert [one["data"] for one in collector.events.values()] == [{"units": 10}]
