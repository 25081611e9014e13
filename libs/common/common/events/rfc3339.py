"""RFC 3339 date-times to milliseconds, without going through floating point, and back to texts."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_THREE_DIGITS: Final = {f"{number:03d}": number for number in range(1000)}


def parse_time_ms(text: str) -> int:
    """Unix milliseconds of an RFC 3339 date-time, rounded down so that it stays in its minute.

    Any offset, up to nine decimals, of which those after the third are cut. The leap second (:60),
    whatever its decimals, is the last millisecond before the next minute: what happened in it
    belongs to the day and the month that it ends. Raises `ValueError` for anything else.
    """
    # UTC in milliseconds, as most clients write it: the second from a cache, the rest looked up.
    if len(text) == 24 and text[19] == "." and text[23] == "Z":
        millisecond = _THREE_DIGITS.get(text[20:23])
        second = _second_ms(text[:19])
        if millisecond is not None and second is not None:
            return second + millisecond
    return _parse(text)


def instant(at: datetime) -> str:
    """How an aware time is written everywhere: in UTC, `2026-11-01T00:00:00Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parse(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 date-time with an offset and at most 9 decimals")
    minute, seconds, decimals, sign, hours, minutes = match.groups()
    millisecond = int(seconds) * 1000
    if millisecond == 60_000:
        millisecond = 59_999
    elif millisecond > 60_000:
        raise ValueError("second must be in 0..60")
    elif decimals is not None:
        millisecond += int(decimals[:3].ljust(3, "0"))
    total = _minute_ms(minute) + millisecond
    if sign is None:
        return total
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("offset must be within 23:59")
    offset = (int(hours) * 60 + int(minutes)) * 60_000
    return total - offset if sign == "+" else total + offset


@lru_cache(maxsize=4096)
def _second_ms(text: str) -> int | None:
    """Unix milliseconds of a date-time up to its seconds, in UTC; None for a leap second, to which
    no milliseconds are added, and for what is no date-time."""
    try:
        return None if text.endswith(":60") else _parse(text + "Z")
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _minute_ms(minute: str) -> int:
    """Events come in bursts of the same minute, and parsing it is most of the cost."""
    since = datetime.fromisoformat(minute.upper()).replace(tzinfo=UTC) - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000
