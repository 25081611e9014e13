"""A small centre over real HTTP: it takes batches as ingest does, and publishes decisions.

It keeps what it took by (node, epoch, seq) and can be told to misbehave: to answer with an error,
to take a batch and lose the answer, to refuse certain events, to be silent.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import zstandard
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.support.serving import serving


@dataclass
class Centre:
    """What the centre has and how it behaves. `answers` are used up one a batch."""

    url: str = ""
    taken: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[tuple[str, int]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    refuse_everything: bool = False
    next_seq_bonus: int = 0
    revision: int = 0
    snapshot: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    closed: bool = False
    sse: bool = True
    polls: int = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        return [self.taken[key] for key in sorted(self.taken, key=lambda key: key[1])]

    async def publish(self, *decisions: dict[str, Any], revision: int | None = None) -> None:
        """Makes decisions current and tells the followers."""
        keys = {(one["tenant"], one.get("action", "all")) for one in decisions}
        kept = [s for s in self.snapshot if (s["tenant"], s.get("action", "all")) not in keys]
        self.snapshot = kept + list(decisions)
        self.revision = revision or max(one["revision"] for one in decisions)
        async with self.news:
            self.news.notify_all()

    async def batch(self, request: Request) -> Response:
        body = json.loads(zstandard.decompress(await request.body()))
        answer = self.answers.pop(0) if self.answers else "take"
        if answer == "hang":
            async with self.news:
                await self.news.wait_for(lambda: self.closed)
        if answer.isdigit():
            return JSONResponse({"code": "told_to"}, int(answer), {"Retry-After": "0"})
        if self.refuse_everything:
            return JSONResponse({"code": "invalid_batch"}, 400)
        if any(event["id"] in self.poison for event in body["events"]):
            return JSONResponse({"code": "invalid_batch"}, 400)
        self.batches.append(body)
        next_seq = body["first_seq"] + len(body["events"])
        for seq, event in enumerate(body["events"], body["first_seq"]):
            if self.taken.setdefault((body["epoch"], seq), event) != event:
                self.conflicts.append((body["epoch"], seq))
        if answer == "take-and-lose":
            raise ConnectionAbortedError("the answer is lost")
        return JSONResponse(
            {"next_seq": next_seq + self.next_seq_bonus, "decisions_revision": self.revision}
        )

    def poll(self, since: int) -> dict[str, Any]:
        self.polls += 1
        full = since < 1 or since > self.revision
        items = [one for one in self.snapshot if full or one["revision"] > since]
        return {"revision": self.revision, "snapshot": full, "items": items, "next": None}

    async def stream(self, since: int) -> AsyncIterator[bytes]:
        if since < 1 or since > self.revision:
            yield _event("snapshot", self.revision, {"items": self.snapshot})
            since = self.revision
        while not self.closed:
            try:
                async with asyncio.timeout(0.2), self.news:
                    while self.revision <= since and not self.closed:
                        await self.news.wait()
            except TimeoutError:
                yield _event("heartbeat", since, {})
                continue
            items = [one for one in self.snapshot if one["revision"] > since]
            since = self.revision
            yield _event("delta", since, {"items": items})


def _event(kind: str, revision: int, data: dict[str, Any]) -> bytes:
    body = json.dumps({"revision": revision, **data})
    return f"event: {kind}\nid: {revision}\ndata: {body}\n\n".encode()


@asynccontextmanager
async def running_centre(centre: Centre | None = None) -> AsyncIterator[Centre]:
    """Serves a centre on a free port; ingest and throttler have the same address."""
    centre = centre or Centre()
    centre.closed = False
    app = FastAPI()

    @app.post("/v1/batches")
    async def batches(request: Request) -> Response:
        return await centre.batch(request)

    @app.get("/v1/decisions")
    async def decisions(request: Request, since: int = 0) -> Response:
        if "event-stream" in request.headers.get("accept", ""):
            if not centre.sse:
                return JSONResponse({}, 406)
            return StreamingResponse(centre.stream(since), media_type="text/event-stream")
        return JSONResponse(centre.poll(since))

    async with serving(app) as url:
        centre.url = url
        try:
            yield centre
        finally:
            centre.closed = True
            async with centre.news:
                centre.news.notify_all()


def decision(tenant: str, revision: int, **fields: Any) -> dict[str, Any]:
    """A decision as the throttler sends it."""
    return {
        "tenant": tenant,
        "action": "all",
        "revision": revision,
        "state": "deny",
        "status": 429,
        "rule": "daily-requests",
        "rule_version": 3,
        "reason": "the daily quota is used up",
        "limit": "100",
        "usage": "120",
        "decided_at": "2026-11-23T09:00:00Z",
        "as_of": "2026-11-23T09:00:00Z",
    } | fields
