"""RFC 3339 times, exactly."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import parse_time_ms, rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", 1000),
        ("1970-01-01 00:00:01.5Z", 1500),
        ("1970-01-01T00:00:59.999999999Z", 59_999),
        ("1970-01-01T00:00:60Z", 59_999),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:30:00.001-05:30", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
    ],
)
def test_times(text: str, milliseconds: int) -> None:
    assert parse_time_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "2026-01-01T00:00:00+0100",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z ",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_time_ms(text)


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(-1439, 1439),
)
def test_agrees_with_the_standard_library(moment: datetime, offset_minutes: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    aware = moment.replace(tzinfo=zone)
    assert parse_time_ms(aware.isoformat()) == (aware - EPOCH) // timedelta(milliseconds=1)


@given(
    st.sampled_from(["2026-03-10T11:59:00.500Z", "2026-12-31T23:59:60.999Z"]),
    st.integers(0, 23),
    st.characters() | st.sampled_from("0123456789-+:._ zZtT٣"),
)
def test_the_usual_shape_is_read_as_the_full_way_reads_it(
    text: str, place: int, character: str
) -> None:
    changed = text[:place] + character + text[place + 1 :]
    try:
        expected = rfc3339._parse(changed)
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            parse_time_ms(changed)
    else:
        assert parse_time_ms(changed) == expected
