"""The clients: what they send, how they try again, what they raise."""

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tests.unit.client.fake import in_turn, serving
from tollgate import AsyncClient, Client, Patience, event
from tollgate.addresses import addresses
from tollgate.calls import invoicer
from tollgate.errors import (
    Conflict,
    Invalid,
    NotFound,
    ProblemError,
    Refused,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)

QUICK = Patience(total_seconds=5, pause_max_seconds=0.01)
OK = (200, {"accepted": 1, "rejected": []})
BUSY = (503, {"code": "unavailable", "detail": "later"})


def test_events_are_sent_and_the_answer_is_typed() -> None:
    with serving(in_turn(OK)) as ingest, Client(ingest=ingest.address, patience=QUICK) as client:
        one = event(
            "http.request",
            "acme",
            {"bytes": 10, "seconds": Decimal("0.1000")},
            time=datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        )
        assert client.send_events([one]).accepted == 1
    (asked,) = ingest.asked
    assert (asked.method, asked.path) == ("POST", "/v1/events")
    assert b'"seconds":0.1000' in asked.body
    (sent,) = asked.json()
    assert sent["time"] == "2026-05-01T12:00:00Z"
    assert (sent["subject"], sent["type"], sent["specversion"]) == ("acme", "http.request", "1.0")


def test_every_try_sends_the_same_identity_and_time() -> None:
    with (
        serving(in_turn(None, BUSY, (429, {}), (502, b"<html>"), OK)) as ingest,
        Client(ingest=ingest.address, patience=QUICK) as client,
    ):
        client.send_events([event("http.request", "acme")])
    assert len(ingest.asked) == 5
    assert len({asked.body for asked in ingest.asked}) == 1


def test_a_post_that_creates_keeps_its_idempotency_key() -> None:
    made = (201, {"id": "s1", "tenant": "acme", "plan": "pro"})
    with (
        serving(in_turn(BUSY, None, made)) as rating,
        Client(rating=rating.address, patience=QUICK) as client,
    ):
        assert client.subscribe({"tenant": "acme", "plan": "pro"}).id == "s1"
        client.subscribe({"tenant": "acme", "plan": "pro"})
    keys = [asked.headers["idempotency-key"] for asked in rating.asked]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


async def test_the_async_client_does_the_same() -> None:
    with serving(in_turn(BUSY, OK)) as ingest:
        async with AsyncClient(ingest=ingest.address, patience=QUICK) as client:
            assert (await client.send_events([event("http.request", "acme")])).accepted == 1
    assert len(ingest.asked) == 2


def test_retry_after_is_waited_for() -> None:
    waits = in_turn((503, {}, {"Retry-After": "1"}), OK)
    with serving(waits) as ingest, Client(ingest=ingest.address, patience=QUICK) as client:
        began = datetime.now(UTC)
        client.send_events([event("http.request", "acme")])
        assert datetime.now(UTC) - began >= timedelta(seconds=1)


def test_a_retry_after_beyond_the_patience_is_not_waited_for() -> None:
    limited = in_turn((429, {"code": "limit_exceeded", "detail": "no"}, {"Retry-After": "3600"}))
    with serving(limited) as ingest, Client(ingest=ingest.address, patience=QUICK) as client:
        with pytest.raises(Refused) as raised:
            client.accounting()
        assert raised.value.retry_after == 3600
    assert len(ingest.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (401, Unauthenticated), (404, NotFound), (409, Conflict), (422, Invalid)],
)
def test_a_refusal_is_raised_with_its_code_and_not_repeated(
    status: int, kind: type[ProblemError]
) -> None:
    problem = {"code": "some_code", "detail": "why", "errors": [{"path": "body.limit"}]}
    with (
        serving(in_turn((status, problem))) as throttler,
        Client(throttler=throttler.address, patience=QUICK) as client,
        pytest.raises(kind) as raised,
    ):
        client.put_rule("daily", {})
    assert len(throttler.asked) == 1
    error = raised.value
    assert (error.status, error.code, error.detail) == (status, "some_code", "why")
    assert error.errors == [{"path": "body.limit"}]


def test_patience_ends() -> None:
    brief = Patience(total_seconds=0.1, pause_max_seconds=0.01)
    with (
        serving(in_turn(BUSY)) as ingest,
        Client(ingest=ingest.address, patience=brief) as client,
        pytest.raises(Unavailable),
    ):
        client.accounting()
    assert len(ingest.asked) > 1
    with (
        Client(ingest="http://127.0.0.1:9", patience=Patience(total_seconds=0)) as client,
        pytest.raises(Unreachable, match="GET ingest/v1/accounting"),
    ):
        client.accounting()


def test_events_that_were_all_rejected_are_an_answer_not_an_error() -> None:
    problem = {"code": "no_event_accepted", "rejected": [{"index": 0, "code": "missing_field"}]}
    with (
        serving(in_turn((422, problem))) as ingest,
        Client(ingest=ingest.address, patience=QUICK) as client,
    ):
        answer = client.send_events([{"id": "1"}])
    assert (answer.accepted, answer.rejected[0].code) == (0, "missing_field")


def test_many_events_travel_compressed() -> None:
    with serving(in_turn(OK)) as collector, Client(collector=collector.address) as client:
        client.send_events([event("http.request", "acme") for _ in range(100)], to="collector")
    (asked,) = collector.asked
    assert asked.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(asked.body))) == 100


def test_lists_are_read_to_their_end() -> None:
    pages = in_turn(
        (200, {"items": [{"id": "1"}, {"id": "2"}], "next": "c1"}),
        (200, {"items": [{"id": "3"}], "next": None}),
    )
    with serving(pages) as service, Client(invoicer=service.address) as client:
        found = [one.id for one in client.each(invoicer.invoices(tenant="a b"))]
    assert found == ["1", "2", "3"]
    assert [asked.query for asked in service.asked] == [
        {"tenant": "a b"},
        {"tenant": "a b", "cursor": "c1"},
    ]


def test_parameters_are_written_as_the_api_reads_them() -> None:
    usage = (200, {"meter": "m", "items": [{"tenant": "a", "value": "1.50"}], "as_of": None})
    with serving(in_turn(usage)) as aggregator, Client(aggregator=aggregator.address) as client:
        page = client.usage(
            "m",
            start=datetime(2026, 5, 1, tzinfo=UTC),
            group_by=["a", "b"],
            filters={"from_": "x"},
        )
    assert page.items[0].value == Decimal("1.50")
    assert aggregator.asked[0].query == {
        "meter": "m",
        "from": "2026-05-01T00:00:00Z",
        "window": "none",
        "group_by": "a,b",
        "filter.from_": "x",
    }


def test_path_parts_are_quoted() -> None:
    with serving(in_turn((204, b""))) as throttler, Client(throttler=throttler.address) as client:
        client.delete_rule("a/b c")
    assert throttler.asked[0].path == "/v1/rules/a%2Fb%20c"


def test_an_answer_of_something_else_is_said_to_be_one() -> None:
    with (
        serving(in_turn((200, b"<html>hello"))) as ingest,
        Client(ingest=ingest.address) as client,
        pytest.raises(UnexpectedAnswer, match="/v1/accounting"),
    ):
        client.accounting()


def test_the_token_travels_in_the_header() -> None:
    with serving(in_turn(OK)) as ingest:
        for options in ({"token": "t"}, {"environment": {"TOLLGATE_TOKEN": "t"}}):
            with Client(ingest=ingest.address, **options) as client:
                client.send_events([])
    assert [asked.headers["authorization"] for asked in ingest.asked] == ["Bearer t"] * 2


def test_addresses_come_from_arguments_then_the_environment_then_the_base_port() -> None:
    found = addresses(
        {"ingest": "http://a/"},
        {"TOLLGATE_RATING_URL": "http://b", "TOLLGATE_BASE_PORT": "9000"},
    )
    assert (found.ingest, found.rating) == ("http://a", "http://b")
    assert (found.collector, found.throttler) == ("http://127.0.0.1:9000", "http://127.0.0.1:9005")
    with pytest.raises(ValueError, match="no such service: nobody"):
        addresses({"nobody": "http://x"})


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        event("http.request", "acme", time=datetime(2026, 5, 1))
