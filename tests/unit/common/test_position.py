"""How a batch moves a position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus import Message, Record
from common.contracts.control import HEADER, tick_record, watermark_record
from common.stream.position import (
    UNSTAMPED_SLACK_MS,
    OffsetGap,
    Position,
    advance,
    origin_header,
    parse_origin,
)

START = Position(topic="t", partition=0, next_offset=10)


def message(
    offset: int, *, origin: tuple[int, int] | None = None, at: int = 0, stamped: bool = True
) -> Message:
    headers = (origin_header(*origin),) if origin else ()
    return Message("t", 0, offset, at, stamped, None, b"", headers)


def control(offset: int, record: Record) -> Message:
    return Message("t", 0, offset, 0, True, record.key, record.value, record.headers)


def test_a_contiguous_batch() -> None:
    moved = advance(START, [message(10), message(11)], compacted=False, root=False)
    assert moved.position.next_offset == 12
    assert [m.offset for m in moved.fresh] == [10, 11]
    assert START.next_offset == 10, "positions are values"


@pytest.mark.parametrize("offsets", [[11], [9], [10, 12], [10, 10], [10, 11, 9]])
def test_a_hole_or_a_step_back_stops(offsets: list[int]) -> None:
    with pytest.raises(OffsetGap):
        advance(START, [message(o) for o in offsets], compacted=False, root=False)


def test_a_compacted_topic_may_have_holes_but_never_goes_back() -> None:
    moved = advance(START, [message(12), message(40)], compacted=True, root=False)
    assert moved.position.next_offset == 41
    for back in ([9], [12, 12], [12, 11]):
        with pytest.raises(OffsetGap):
            advance(START, [message(o) for o in back], compacted=True, root=False)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=40))
def test_of_each_origin_only_the_ascending_ones_are_taken(origins: list[tuple[int, int]]) -> None:
    batch = [message(10 + n, origin=origin) for n, origin in enumerate(origins)]
    moved = advance(START, batch, compacted=False, root=False)

    highest: dict[int, int] = {}
    expected = []
    for partition, offset in origins:
        if offset > highest.get(partition, -1):
            highest[partition] = offset
            expected.append((partition, offset))
    assert [parse_origin(m.header("origin") or b"") for m in moved.fresh] == expected
    assert moved.position.seen == highest
    assert moved.repeated == len(origins) - len(expected)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 100)), max_size=30))
def test_the_watermark_is_the_least_of_the_greatest(told: list[tuple[int, int]]) -> None:
    batch = [control(10 + n, watermark_record(o, 3, at)) for n, (o, at) in enumerate(told)]
    moved = advance(START, batch, compacted=False, root=False)
    greatest = {origin: max(at for o, at in told if o == origin) for origin, _ in told}
    expected = min(greatest.values()) if len(greatest) == 3 else None
    assert moved.position.watermark_ms == expected
    assert moved.fresh == []


def test_an_old_emission_does_not_make_origins_fewer() -> None:
    batch = [
        control(10, watermark_record(0, 2, 100)),
        control(11, watermark_record(1, 2, 100)),
        control(12, watermark_record(0, 1, 500)),
    ]
    assert advance(START, batch, compacted=False, root=False).position.watermark_ms == 100


def test_the_first_stage_takes_the_brokers_clock() -> None:
    batch = [message(10, at=9_000), control(11, tick_record()), message(12, at=8_000)]
    moved = advance(START, batch, compacted=False, root=True)
    assert moved.position.watermark_ms == 9_000
    unstamped = advance(START, [message(10, at=9_000, stamped=False)], compacted=False, root=True)
    assert unstamped.position.watermark_ms == 9_000 - UNSTAMPED_SLACK_MS


def test_an_unknown_control_record_is_passed_over() -> None:
    unknown = Message("t", 0, 10, 0, True, b"k", b"?", ((HEADER, b"of the future"),))
    moved = advance(START, [unknown], compacted=False, root=False)
    assert (moved.fresh, moved.position.next_offset) == ([], 11)
