"""The hot routes: what bad input gets, and that nothing is answered before the log has it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx
import pytest
import zstandard
from fastapi import FastAPI

from common.bus.memory import MemoryBus
from common.bus.types import BusError, Record
from common.contracts.received import decode_envelope
from common.contracts.topics import RECEIVED
from common.events import parse_time_ms
from common.service import create_app
from ingest.decisions import NewestDecision, decode_revision
from ingest.front import Front
from ingest.intake import Intake
from ingest.openapi import describe
from ingest.settings import IngestSettings

NOW = parse_time_ms("2026-03-10T12:00:00Z")
EVENT: dict[str, Any] = {
    "id": "1",
    "source": "app",
    "type": "t",
    "subject": "acme",
    "time": "2026-03-10T11:59:00Z",
}
JSON = {"Content-Type": "application/json"}


class StubbornBus(MemoryBus):
    """A bus that can refuse, or never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse = False
        self.hang = False

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        if self.refuse:
            raise BusError("not acknowledged")
        if self.hang:
            await asyncio.Event().wait()
        await super().append(topic, batches)

    def forget(self) -> None:
        """Empty the log."""
        self._logs.clear()

    def elements(self) -> int:
        """How many elements are in usage.received."""
        return sum(
            decode_envelope(message.value or b"").count
            for partition in range(4)
            for message in self.messages(RECEIVED.name, partition)
        )


def front(bus: MemoryBus, **settings: Any) -> Front:
    app = create_app(IngestSettings(**settings), title="t", description="d", lifespan=_no_lifespan)
    app.state.intake = Intake(bus, append_seconds=0.2)
    app.state.newest_decision = NewestDecision()
    describe(app)
    return Front(app, in_flight_bytes=64 * 2**20, body_seconds=0.3, clock_ms=lambda: NOW)


@asynccontextmanager
async def _no_lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


def client(app: Front) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://ingest")


@pytest.fixture
def bus() -> StubbornBus:
    return StubbornBus()


@pytest.fixture
async def http(bus: StubbornBus) -> AsyncIterator[httpx.AsyncClient]:
    async with client(front(bus)) as http:
        yield http


async def test_events_are_in_the_log_when_they_are_accepted(
    http: httpx.AsyncClient, bus: StubbornBus
) -> None:
    answer = await http.post("/v1/events", json=[EVENT, EVENT | {"id": "2"}])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "rejected": []})
    assert bus.elements() == 2


async def test_bad_elements_are_listed_beside_the_good_ones(
    http: httpx.AsyncClient, bus: StubbornBus
) -> None:
    answer = await http.post("/v1/events", json=[EVENT, EVENT | {"id": "2", "subject": ""}])
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "rejected": [
            {
                "index": 1,
                "id": "2",
                "code": "invalid_field",
                "message": "subject must have 1 to 256 characters",
            }
        ],
    }
    assert bus.elements() == 2


async def test_when_none_is_good_the_answer_is_422_and_all_are_in_the_log(
    http: httpx.AsyncClient, bus: StubbornBus
) -> None:
    answer = await http.post("/v1/events", json=[{}, 5])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], len(problem["rejected"])) == ("all_rejected", 2)
    assert bus.elements() == 2


async def test_an_empty_array_is_an_empty_success(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/events", json=[])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": []})


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("identity", bytes)],
)
async def test_encodings(
    http: httpx.AsyncClient, bus: StubbornBus, encoding: str, encode: Any
) -> None:
    body = json.dumps([EVENT] * 5000).encode()
    headers = JSON | {"Content-Encoding": encoding}
    answer = await http.post("/v1/events", content=encode(body), headers=headers)
    assert answer.json()["accepted"] == 5000
    assert bus.elements() == 5000


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "empty_body"),
        (b"{", {}, 400, "invalid_json"),
        (b"[" * 100_000, {}, 400, "invalid_json"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", {}, 400, "too_deep"),
        (b"[]", {"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
        (b"[]", {"Content-Type": "application/x-protobuf"}, 415, "unsupported_media_type"),
        (b"[]", {"Content-Encoding": "br"}, 415, "unsupported_encoding"),
        (b"[]", {"Content-Encoding": "gzip"}, 400, "invalid_encoding"),
        (b"[]", {"Content-Encoding": "zstd"}, 400, "invalid_encoding"),
        (bytes(33 * 2**20), {}, 413, "body_too_large"),
        (
            gzip.compress(bytes(200 * 2**20)),
            {"Content-Encoding": "gzip"},
            413,
            "body_too_large",
        ),
        (
            zstandard.compress(bytes(200 * 2**20)),
            {"Content-Encoding": "zstd"},
            413,
            "body_too_large",
        ),
        (b"\n" * 300_000, {"Content-Type": "application/x-ndjson"}, 413, "too_many_events"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/batches"])
async def test_a_body_that_cannot_be_read_counts_nothing(
    http: httpx.AsyncClient,
    bus: StubbornBus,
    path: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await http.post(path, content=body, headers=JSON | headers)
    if path == "/v1/events" or status == 415 or code == "body_too_large":
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert bus.elements() == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ('"data": NaN', "invalid_json"),
        ('"data": "\\ud800"', "invalid_json"),
        ('"source": "a\\u0000b"', "invalid_field"),
        ('"subject": 5', "invalid_field"),
        ('"time": "1970-01-01T00:00:00Z"', "too_old"),
        ('"time": "2090-01-01T00:00:00Z"', "in_future"),
        ('"id": "1", "id": "2"', "duplicate_key"),
        ('"data": {"n": 1, "n": 2}', "duplicate_key"),
        (f'"data": {"[" * 70 + "]" * 70}', "too_deep"),
        (f'"data": {"1" * 5000}', "invalid_number"),
        (f'"data": "{"x" * 2**20}"', "event_too_large"),
    ],
)
async def test_a_bad_element_is_told_apart(
    http: httpx.AsyncClient, bus: StubbornBus, fields: str, code: str
) -> None:
    name = fields.split(":", maxsplit=1)[0].strip('"')
    rest = {key: value for key, value in EVENT.items() if key != name}
    bad = json.dumps(rest)[:-1] + ", " + fields + "}"
    body = f"[{json.dumps(EVENT)}, {bad}, {json.dumps(EVENT)}]"
    answer = await http.post("/v1/events", content=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, code)]
    assert bus.elements() == 3


@pytest.mark.parametrize("number", ["-0", "-0.0", "1e400", "1" + "0" * 400])
async def test_odd_numbers_pass_untouched(
    http: httpx.AsyncClient, bus: StubbornBus, number: str
) -> None:
    body = json.dumps(EVENT)[:-1] + f', "data": {{"n": {number}}}}}'
    answer = await http.post("/v1/events", content=body, headers=JSON)
    assert answer.json()["accepted"] == 1
    raws = [
        event.raw
        for partition in range(4)
        for message in bus.messages(RECEIVED.name, partition)
        for event in decode_envelope(message.value or b"").events
    ]
    assert raws == [body.encode()]


@pytest.mark.parametrize("fault", ["refuse", "hang"])
async def test_without_an_acknowledgement_the_outcome_is_unknown(
    http: httpx.AsyncClient, bus: StubbornBus, fault: str
) -> None:
    setattr(bus, fault, True)
    answer = await http.post("/v1/events", json=EVENT)
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert 1 <= int(answer.headers["retry-after"]) <= 5


async def test_too_many_bytes_in_flight_are_refused_before_they_are_read(bus: StubbornBus) -> None:
    app = front(bus)
    app._in_flight_max = 1000
    app.hold(900)
    async with client(app) as http:
        answer = await http.post("/v1/events", content=b" " * 200, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        app.hold(-900)
        assert (await http.post("/v1/events", json=[EVENT] * 100)).status_code == 200
        assert app._in_flight == 0


async def test_a_body_that_does_not_come_is_not_waited_for(http: httpx.AsyncClient) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()

    answer = await http.post("/v1/events", content=slow(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (503, "body_too_slow")


async def test_a_token_is_needed_when_there_are_tokens(bus: StubbornBus) -> None:
    tokens = {
        sha256(b"writer").hexdigest(): ["events:write"],
        sha256(b"reader").hexdigest(): ["events:read"],
    }
    async with client(front(bus, auth_tokens=tokens)) as http:
        for token, status in ((None, 401), ("nobody", 401), ("reader", 403), ("writer", 200)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await http.post("/v1/events", json=EVENT, headers=headers)
            assert answer.status_code == status
    assert bus.elements() == 1


async def test_a_batch_is_told_where_to_go_on_and_what_is_new(bus: StubbornBus) -> None:
    app = front(bus)
    for data in (b'{"revision": 41, "v": 9}', b'{"revision": 7}', b"{", b'{"revision": "x"}'):
        app._app.state.newest_decision.note("acme|all", decode_revision(data))
    batch = {"node": "n", "epoch": "e", "first_seq": 5, "events": [EVENT, 7]}
    async with client(app) as http:
        answer = await http.post("/v1/batches", json=batch)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["next_seq"], body["decisions_revision"]) == (7, 41)
    assert [(r["index"], r["code"]) for r in body["rejected"]] == [(1, "not_an_object")]


async def test_a_node_cannot_vouch_for_the_future(bus: StubbornBus) -> None:
    batch = {"node": "n", "epoch": "e", "first_seq": 1, "events": []}
    async with client(front(bus)) as http:
        for sealed in ("2090-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00"):
            answer = await http.post("/v1/batches", json=batch | {"sealed_through": sealed})
            assert answer.status_code == 200
    seals = [
        batch.sealed_through_ms
        for partition in range(4)
        for message in bus.messages(RECEIVED.name, partition)
        if (batch := decode_envelope(message.value or b"").batch)  # type: ignore[assignment]
    ]
    assert seals == [NOW, 0]


@pytest.mark.parametrize("first_seq", [0, -1, "1", None, 1e30])
async def test_a_wrong_frame_is_refused(
    http: httpx.AsyncClient, bus: StubbornBus, first_seq: object
) -> None:
    batch = {"node": "n", "epoch": "e", "first_seq": first_seq, "events": [EVENT]}
    answer = await http.post("/v1/batches", json=batch)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_batch")
    assert bus.elements() == 0


async def test_other_methods(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/batches")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_the_hot_routes_are_documented(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert "post" in schema["paths"]["/v1/events"]
    assert "post" in schema["paths"]["/v1/batches"]
    assert schema["components"]["schemas"]["BatchAnswer"]["properties"].keys() == {
        "next_seq",
        "decisions_revision",
        "rejected",
    }
