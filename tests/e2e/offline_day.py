"""A node that was cut off for hours, and what it is like when the centre comes back.

The backlog is made through the product's own spool, with times spread over the hours before now.
While it drains an app hands over a *ping* every now and then, and somebody looks at the usage: when
is a ping in it?
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from collector.spool.writer import Change, Receipt, Spool
from collector.tail.mapping import LineMapper, LineMapping

NODE = "edge-9"
TENANTS = ("acme", "basta", "cargo", "delta")
METERS = {
    "requests": {"event_type": "http.request", "aggregation": "count", "unit": "request"},
    "pings": {"event_type": "ping", "aggregation": "count", "unit": "ping"},
}
PING_SECONDS = 0.05
LOOK_SECONDS = 0.1
_EVENTS_A_CHANGE = 500
_CHANGES_AHEAD = 8

ByHour = Counter[tuple[str, datetime]]


def make_backlog(directory: Path, *, hours: float, mb_per_hour: float) -> tuple[ByHour, int]:
    """Fills a spool with what a tailed log would have given; its events by tenant and hour, and
    their bytes. The last of them is a moment old."""
    spool = Spool(directory, NODE, max_bytes=1 << 40)
    mapper = LineMapper(LineMapping(), NODE)
    size = len(mapper.map_lines([_line(0, "acme", 1_790_000_000_000)], "").events[0]) + 40
    total = int(hours * mb_per_hour * 1_000_000 / size)
    end_ms = time.time_ns() // 1_000_000 - 2_000
    begin_ms = end_ms - int(hours * 3_600_000)
    truth: ByHour = Counter()
    written = 0
    waiting: list[Future[Receipt]] = []
    for first in range(0, total, _EVENTS_A_CHANGE):
        lines = []
        for number in range(first, min(first + _EVENTS_A_CHANGE, total)):
            at_ms = begin_ms + (end_ms - begin_ms) * number // total
            tenant = TENANTS[number * number % 7 % len(TENANTS)]
            lines.append(_line(number, tenant, at_ms))
            truth[tenant, datetime.fromtimestamp(at_ms // 3_600_000 * 3600, UTC)] += 1
        events = mapper.map_lines(lines, "").events
        written += sum(map(len, events))
        waiting.append(spool.submit(Change(events=events, made_here=True)))
        if len(waiting) > _CHANGES_AHEAD:
            waiting.pop(0).result()
    spool.close()
    return truth, written


def _line(number: int, tenant: str, at_ms: int) -> bytes:
    """A line of nginx's log as the template writes it."""
    return (
        b'{"msec":"%d.%03d","request_id":"%032x","tenant":"%b","status":"200","gate":"allow",'
        b'"bytes":%d,"request_time":0.012,"method":"GET","host":"edge.example","uri":"/items/%d"}'
    ) % (at_ms // 1000, at_ms % 1000, number, tenant.encode(), number % 5000, number)


@dataclass
class Pings:
    """An app that hands over one event after the other, each until it is acknowledged."""

    client: httpx.AsyncClient
    acknowledged: list[float] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            number = len(self.acknowledged)
            event = {"id": f"ping-{number}", "source": "app", "type": "ping", "subject": "acme"}
            body = json.dumps(event | {"time": datetime.now(UTC).isoformat()}).encode()
            while len(self.acknowledged) == number:
                if await self._take(body):
                    self.acknowledged.append(time.monotonic())
                await asyncio.sleep(PING_SECONDS)

    async def _take(self, body: bytes) -> bool:
        headers = {"content-type": "application/json"}
        try:
            answer = await self.client.post("/v1/events", content=body, headers=headers)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


class Usage:
    """What the centre answers about usage."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def define_meters(self) -> None:
        for slug, body in METERS.items():
            answer = await self._client.put(f"/v1/meters/{slug}", json=body)
            assert answer.is_success, answer.text

    async def by_hour(self, meter: str, hours: float) -> ByHour:
        items = await self._ask(meter, "hour", hours)
        return Counter(
            {
                (item["tenant"], datetime.fromisoformat(item["from"])): int(item["value"])
                for item in items
            }
        )

    async def total(self, meter: str, hours: float) -> int:
        return sum(int(item["value"]) for item in await self._ask(meter, "none", hours))

    async def _ask(self, meter: str, window: str, hours: float) -> list[dict[str, str]]:
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        query = {
            "meter": meter,
            "window": window,
            "limit": "1000",
            "from": (now - timedelta(hours=int(hours) + 2)).isoformat(),
            "to": (now + timedelta(hours=2)).isoformat(),
        }
        answer = await self._client.get("/v1/usage", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert not page["next"]
        return list(page["items"])


@dataclass
class Watch:
    """Looks at usage and at the collector's memory until everything is counted."""

    usage: Usage
    pings: Pings
    hours: float
    resident_mb: list[float] = field(default_factory=list)
    lags: list[tuple[float, float]] = field(default_factory=list)
    """(when the ping was acknowledged, seconds until it was seen in the usage)"""

    async def run(self, pid: Callable[[], int]) -> None:
        while True:
            seen = await self.usage.total("pings", self.hours)
            now = time.monotonic()
            for acknowledged in self.pings.acknowledged[len(self.lags) : seen]:
                self.lags.append((acknowledged, now - acknowledged))
            self.resident_mb.append(resident_mb(pid()))
            await asyncio.sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class Report:
    """How it went. Lags in seconds, from a ping's acknowledgement to its being in the usage."""

    events: int
    megabytes: float
    shipped_seconds: float
    counted_seconds: float
    lags: list[float]
    resident_mb: list[float]

    def __str__(self) -> str:
        lags = sorted(self.lags)
        memory = self.resident_mb
        quarters = [memory[len(memory) * part // 4] for part in range(4)] + [memory[-1]]
        return "\n".join(
            [
                f"backlog             {self.events:,} events, {self.megabytes:,.0f} MB of JSON",
                f"shipped after       {self.shipped_seconds:,.1f} s:"
                f" {self.megabytes / self.shipped_seconds:.1f} MB/s,"
                f" {self.events / self.shipped_seconds:,.0f} events/s",
                f"counted after       {self.counted_seconds:,.1f} s",
                f"new usage meanwhile {len(lags)} pings, in the usage after"
                f" p50 {lags[len(lags) // 2]:.2f} s, p99 {lags[len(lags) * 99 // 100]:.2f} s,"
                f" max {lags[-1]:.2f} s",
                "collector's memory  " + " ".join(f"{mb:.0f}" for mb in quarters) + " MB over the"
                f" time, at most {max(memory):.0f} MB",
            ]
        )


async def drained(
    collector: httpx.AsyncClient,
    usage: Usage,
    watch: Watch,
    *,
    began: float,
    events: int,
    megabytes: float,
    timeout: float,
) -> Report:
    """Waits until the backlog was shipped, and until it is in the usage."""

    async def is_shipped() -> bool:
        spool = (await collector.get("/v1/status")).json()["spool"]
        return bool(spool["unsent"] < 1000 and spool["backlog"] == 0)

    shipped = await _when(is_shipped, timeout) - began

    async def is_counted() -> bool:
        return await usage.total("requests", watch.hours) >= events

    ended = await _when(is_counted, timeout)
    lags = [lag for acknowledged, lag in watch.lags if began <= acknowledged <= ended]
    return Report(events, megabytes, shipped, ended - began, lags, watch.resident_mb)


async def _when(condition: Callable[[], Awaitable[bool]], timeout: float) -> float:
    deadline = time.monotonic() + timeout
    while not await condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic()


def resident_mb(pid: int) -> float:
    """Resident memory of a process, as Linux tells it; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    line = next((one for one in status.splitlines() if one.startswith("VmRSS:")), "VmRSS: 0")
    return int(line.split()[1]) / 1024
