"""Cursor paging: a list answers {"items": [...], "next": cursor or null}.

A cursor is opaque to callers: the sort key of the last item, with the name of its list, so that
one made up, or taken from another list, is refused.
"""

import base64
import binascii
from typing import Annotated, Any

import msgspec
from fastapi import Query

from common.errors import INVALID_CURSOR, ApiError

Limit = Annotated[int, Query(ge=1, le=1000, description="How many items at the most.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="`next` of the page before this one.")
]


def encode_cursor(listing: str, *key: Any) -> str:
    """The cursor after the item with the sort key `key` (JSON values) in `listing`."""
    return base64.urlsafe_b64encode(msgspec.json.encode([listing, *key])).decode().rstrip("=")


def decode_cursor(listing: str, cursor: str | None, kind: Any) -> Any:
    """The sort key in a cursor as `kind` (a tuple type), or None without a cursor.

    Raises `ApiError` (invalid_cursor) for anything that `encode_cursor` did not make for this
    list.
    """
    if cursor is None:
        return None
    try:
        data = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
        name, *key = msgspec.json.decode(data, type=list[Any])
        if name != listing:
            raise ValueError(name)
        return msgspec.convert(key, kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise ApiError(INVALID_CURSOR, f"not a cursor of {listing}") from None


def page(listing: str, rows: list[Any], limit: int, key: Any) -> tuple[list[Any], str | None]:
    """The items of a page and the cursor of the next one.

    `rows`: up to `limit` + 1 rows that were asked for; `key(row)` is a row's sort key (a tuple).
    """
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, encode_cursor(listing, *key(rows[-1]))
