"""What one line of the log becomes."""

import json
from typing import Any

import pytest

from collector.tail.mapping import LineMapper, LineMapping, Mapped
from tests.unit.collector.support import line


def mapped(*lines: bytes, **options: Any) -> Mapped:
    mapper = LineMapper(LineMapping(**options), "edge-1")
    return mapper.map_lines([one.rstrip(b"\n") for one in lines], "access.log#1@0")


def event(*lines: bytes, **options: Any) -> dict[str, Any]:
    """The one event of the lines, with the numbers as their literals."""
    result = mapped(*lines, **options)
    assert len(result.events) == 1, (result.skipped, result.bad)
    whole = b'{"id":"e-1",' + result.events[0]
    found: dict[str, Any] = json.loads(whole, parse_float=str)
    return found


def test_numbers_keep_their_literal() -> None:
    raw = line(1, request_time=0).replace(b'"request_time":0', b'"request_time":0.100')
    assert event(raw)["data"]["request_time"] == "0.100"


def test_time_is_the_lines_own_with_milliseconds() -> None:
    assert event(line(1, msec="1763887814.007"))["time"] == "2025-11-23T08:50:14.007Z"


def test_a_number_as_msec_is_fine_too() -> None:
    raw = line(1).replace(b'"1790000001.001"', b"1790000001.001")
    assert event(raw)["time"] == "2026-09-21T14:13:21.001Z"


@pytest.mark.parametrize("status", [401, 402, 403, 429, 503])
def test_refusals_are_no_usage(status: int) -> None:
    result = mapped(line(1, status=str(status)))
    assert result.events == []
    assert result.skipped == {f"status_{status}": 1}


def test_which_statuses_are_no_usage_is_a_setting() -> None:
    assert event(line(1, status="503"), unbilled_statuses=frozenset())["data"]["status"] == 503


def test_what_the_gate_denied_is_no_usage_whatever_its_status() -> None:
    result = mapped(line(1, gate="deny", status="418"))
    assert result.skipped == {"denied": 1}


@pytest.mark.parametrize("tenant", ["", "-", None])
def test_lines_without_a_tenant_are_no_usage(tenant: str | None) -> None:
    assert mapped(line(1, tenant=tenant)).skipped == {"no_tenant": 1}


def test_empty_lines_are_skipped() -> None:
    assert mapped(b"", b"  ").skipped == {"empty": 2}


def test_a_missing_dimension_costs_no_usage() -> None:
    raw = b'{"msec":1790000001.001,"tenant":"acme","status":200}'
    assert event(raw)["data"] == {"status": 200}


def test_bytes_that_are_not_utf8_cost_no_usage() -> None:
    raw = line(1).replace(b"/items/1", b"/\xff\xfe")
    assert event(raw)["data"]["uri"] == "/\ufffd\ufffd"


def test_nul_and_lone_surrogates_are_replaced() -> None:
    raw = line(1).replace(b"/items/1", rb"/a\u0000b\ud800c\ud83d\ude00")
    assert event(raw)["data"]["uri"] == "/a\ufffdb\ufffdc\U0001f600"


def test_a_hole_that_a_crash_left_is_passed_over() -> None:
    assert event(b"\0" * 50 + line(1))["data"]["bytes"] == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "invalid_json"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (line(1, tenant=5), "tenant_is_not_a_string"),
        (line(1, tenant="a\nb"), "invalid_tenant"),
        (line(1, tenant="x" * 257), "invalid_tenant"),
        (line(1, status="2000"), "invalid_status"),
        (line(1, status=None), "invalid_status"),
        (line(1, msec="now"), "invalid_msec"),
        (line(1, msec="-5.000"), "invalid_msec"),
        (line(1).replace(b'"bytes":1', b'"bytes":NaN'), "invalid_json"),
        (b'{"uri":' + b"[" * 100_000, "invalid_json"),
    ],
)
def test_bad_lines_have_a_reason(raw: bytes, reason: str) -> None:
    result = mapped(raw)
    assert result.events == []
    assert [item.reason.split(":")[0] for item in result.bad] == [reason]


def test_strange_statuses_of_nginx() -> None:
    assert event(line(1, status="009"))["data"]["status"] == 9


def test_fields_are_a_setting() -> None:
    raw = b'{"who":"acme","at":1790000001.001,"code":204,"len":12}'
    found = event(
        raw,
        event_type="cdn.hit",
        tenant="who",
        msec="at",
        status="code",
        data={"size": "len"},
    )
    assert found["type"] == "cdn.hit"
    assert found["data"] == {"status": 204, "size": 12}
