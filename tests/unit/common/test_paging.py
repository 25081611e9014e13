"""Cursors are opaque, and only their own list takes them."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ApiError
from common.paging import decode_cursor, encode_cursor, page

KIND = tuple[str, int]


def made_up(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


@given(st.text(), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_comes_back_as_the_key(name: str, number: int) -> None:
    if not any("\ud800" <= c <= "\udfff" for c in name):
        assert decode_cursor("things", encode_cursor("things", name, number), KIND) == (
            name,
            number,
        )


def test_no_cursor_is_the_beginning() -> None:
    assert decode_cursor("things", None, KIND) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "é",
        "AAAA",
        "not base64!",
        made_up([]),
        made_up({"a": 1}),
        made_up(["things"]),
        made_up(["things", "a"]),
        made_up(["things", 1, "a"]),
        made_up(["others", "a", 1]),
        made_up([["things"], "a", 1]),
        base64.urlsafe_b64encode(b"[" * 1400).decode(),
        base64.urlsafe_b64encode(b'["things","\\ud800",1]').decode(),
    ],
)
def test_a_cursor_made_up_is_refused(cursor: str) -> None:
    with pytest.raises(ApiError, match="invalid_cursor"):
        decode_cursor("things", cursor, KIND)


@given(st.binary(max_size=50).map(lambda b: base64.urlsafe_b64encode(b).decode()) | st.text())
def test_nothing_else_gets_through(cursor: str) -> None:
    with pytest.raises(ApiError, match="invalid_cursor"):
        decode_cursor("things", cursor, KIND)


def test_pages_follow_each_other_to_the_end() -> None:
    everything = list(range(10))
    seen: list[int] = []
    cursor: str | None = None
    while True:
        after = decode_cursor("numbers", cursor, tuple[int]) or (-1,)
        rows = [number for number in everything if number > after[0]][:4]
        items, cursor = page("numbers", rows, 3, lambda number: (number,))
        seen += items
        if cursor is None:
            break
    assert seen == everything
