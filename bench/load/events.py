"""Usage events from a seed, as ready HTTP requests, with their sums. Pure.

An event is 212 bytes of CloudEvents JSON with a random UUID; a node's own has the id
`<epoch>-<number>` and up to five bytes less. Its `data` has the value of the sum
meter and the one dimension that the meters group by.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import zstandard

EVENT_TYPE = "http.request"
EVENT_BYTES = 212

Kind = Literal["events", "batches", "checks"]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What to send.

    `events`: distinct ones. `repeated`: the share of what is sent that is sent twice. Times lie
    evenly in [begin_ms, begin_ms + span_ms), Unix milliseconds. `sources` are applications, each
    request is of one; for batches they are nodes, and a request is a batch of one.
    """

    seed: int
    events: int
    per_request: int
    begin_ms: int
    span_ms: int
    kind: Kind = "events"
    tenants: int = 250
    groups: int = 10
    sources: int = 32
    repeated: float = 0.05


def tenant_key(number: int) -> str:
    return f"tenant-{number:04d}"


@dataclass
class Truth:
    """What the usage must be: events and bytes by the tenant's number."""

    counts: list[int]
    sums: list[int]

    @classmethod
    def zero(cls, tenants: int) -> "Truth":
        return cls([0] * tenants, [0] * tenants)

    def add(self, other: "Truth") -> None:
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]


@dataclass
class Prepared:
    """Requests by lane; within a lane they go out in order. `sizes`: elements of each request.

    `sent`: elements in all, repeats too.
    """

    lanes: list[list[bytes]]
    sizes: list[list[int]]
    truth: Truth
    sent: int = field(init=False)

    def __post_init__(self) -> None:
        self.sent = sum(map(sum, self.sizes))


def prepare(traffic: Traffic) -> Prepared:
    """The requests of `traffic`; the same seed always gives the same ones."""
    makers = {"events": _events, "batches": _batches, "checks": _checks}
    return makers[traffic.kind](traffic)


def event_maker(
    traffic: Traffic, truth: Truth
) -> Callable[[int, str, Sequence[str] | None], list[str]]:
    """A function that makes the next `n` events of a source, with the ids given (random UUIDs if
    none), and adds them to `truth`."""
    pick = random.Random(traffic.seed)
    tenants = [tenant_key(n) for n in range(traffic.tenants)]
    made = 0

    def make(n: int, source: str, ids: Sequence[str] | None) -> list[str]:
        nonlocal made
        digits = pick.randbytes(16 * n).hex()
        who = pick.choices(range(traffic.tenants), k=n)
        groups = pick.choices(range(traffic.groups), k=n)
        sizes = pick.choices(range(10_000, 100_000), k=n)
        found = []
        for i in range(n):
            tenant, size = who[i], sizes[i]
            truth.counts[tenant] += 1
            truth.sums[tenant] += size
            at = traffic.begin_ms + (made + i) * traffic.span_ms // traffic.events
            u = digits[32 * i : 32 * i + 32]
            event_id = (
                f"{u[:8]}-{u[8:12]}-4{u[13:16]}-a{u[17:20]}-{u[20:]}" if ids is None else ids[i]
            )
            found.append(
                f'{{"specversion":"1.0","id":"{event_id}","source":"{source}",'
                f'"type":"{EVENT_TYPE}","subject":"{tenants[tenant]}","time":"{_time(at)}",'
                f'"data":{{"bytes":{size},"region":"region-{groups[i]}"}}}}'
            )
        made += n
        return found

    return make


def _events(traffic: Traffic) -> Prepared:
    truth = Truth.zero(traffic.tenants)
    make = event_maker(traffic, truth)
    requests: list[bytes] = []
    sizes: list[int] = []
    previous: dict[int, list[str]] = {}
    for number, fresh, repeats in _plan(traffic):
        source = number % traffic.sources
        events = make(fresh, f"bench/app-{source:02d}", None)
        again = previous.get(source, [])[:repeats]
        previous[source] = events or again
        body = events + again
        if body:
            requests.append(
                _request("/v1/events", ("[" + ",".join(body) + "]").encode(), "application/json")
            )
            sizes.append(len(body))
    return Prepared([requests], [sizes], truth)


def _plan(traffic: Traffic) -> Iterator[tuple[int, int, int]]:
    """(number, distinct events, repeated events) of each request. The repeats come from the
    request before of the same source, so the first of each has none."""
    owed, left, number = 0.0, traffic.events, 0
    while left > 0:
        owed += traffic.per_request * traffic.repeated
        repeats = int(owed) if number >= traffic.sources else 0
        owed -= int(owed)
        fresh = min(left, traffic.per_request - repeats)
        yield number, fresh, repeats
        left -= fresh
        number += 1


def _batches(traffic: Traffic) -> Prepared:
    """A lane a node: a node sends one batch at a time. A batch goes out twice when its answer was
    lost; that happens to a share `repeated` of them."""
    truth = Truth.zero(traffic.tenants)
    make = event_maker(traffic, truth)
    squeeze = zstandard.ZstdCompressor(level=1).compress
    lanes: list[list[bytes]] = [[] for _ in range(traffic.sources)]
    sizes: list[list[int]] = [[] for _ in range(traffic.sources)]
    left, number, owed = traffic.events, 0, 0.0
    next_seq = [1] * traffic.sources
    while left > 0:
        n = min(left, traffic.per_request)
        lane = number % traffic.sources
        node, epoch, first = f"node-{lane:02d}", f"{traffic.seed:028x}", next_seq[lane]
        ids = [f"{epoch}-{seq}" for seq in range(first, first + n)]
        events = make(n, f"{node}/nginx", ids)
        sealed = _time(traffic.begin_ms)
        body = (
            f'{{"node":"{node}","epoch":"{epoch}","first_seq":{first},'
            f'"sealed_through":"{sealed}","events":[{",".join(events)}]}}'
        )
        request = _request("/v1/batches", squeeze(body.encode()), "application/json", "zstd")
        owed += traffic.repeated
        copies = 1 + int(owed)
        owed -= int(owed)
        lanes[lane] += [request] * copies
        sizes[lane] += [n] * copies
        next_seq[lane] += n
        left -= n
        number += 1
    return Prepared(lanes, sizes, truth)


def _checks(traffic: Traffic) -> Prepared:
    """Questions whether a tenant may go on: nothing is counted."""
    requests = [
        _request("/v1/check", f'{{"tenant":"{tenant_key(n)}"}}'.encode(), "application/json")
        for n in random.Random(traffic.seed).choices(range(traffic.tenants), k=traffic.events)
    ]
    return Prepared([requests], [[1] * traffic.events], Truth.zero(traffic.tenants))


def _request(path: str, body: bytes, content_type: str, encoding: str = "") -> bytes:
    extra = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _time(ms: int) -> str:
    """RFC 3339 with milliseconds."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """Most events share their second with thousands of others."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
