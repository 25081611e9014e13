"""traceparent, as W3C Trace Context writes it."""

import pytest
from opentelemetry import trace

from common.telemetry import LINKS_MAX, parse_traceparent, span, traceparent, traceparent_headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_well_formed_one() -> None:
    for value in (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01".encode()):
        context = parse_traceparent(value)
        assert context is not None
        assert f"{context.trace_id:032x}" == TRACE
        assert f"{context.span_id:016x}" == SPAN
        assert context.trace_flags.sampled
        assert context.is_remote


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'0_1' * 10}ab-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-+1",
        f"00-{TRACE}-{SPAN}-01\n",
        b"\xff\xfe",
    ],
)
def test_anything_else_is_passed_over(value: str | bytes) -> None:
    assert parse_traceparent(value) is None


def test_a_span_under_a_remote_parent_carries_its_trace_on() -> None:
    with span("step", parent=f"00-{TRACE}-{SPAN}-01"):
        told = traceparent()
        assert told is not None
        assert told.split("-")[1] == TRACE
        assert traceparent_headers() == (("traceparent", told.encode()),)


def test_without_a_trace_nothing_is_told() -> None:
    assert traceparent() is None
    assert traceparent_headers() == ()


def test_a_step_links_to_many_but_not_to_all() -> None:
    links = ["nonsense", *(f"00-{TRACE}-{n:016x}-01" for n in range(1, 200))]
    with span("step", links=links) as current:
        assert trace.get_current_span() is current
    assert LINKS_MAX < 199
