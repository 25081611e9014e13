"""When a part holds: `from` (inclusive) and `until` (exclusive), both optional."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from common.events.rfc3339 import instant, parse_time_ms
from common.periods import slot_of
from rating.prices.fields import Fields

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """[`start`, `end`) on slots of ten seconds; None: without a bound."""

    start: datetime | None = None
    end: datetime | None = None

    def within(self, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        """The part of [start, end) in which it holds, None for nothing."""
        since = start if self.start is None else max(start, self.start)
        until = end if self.end is None else min(end, self.end)
        return (since, until) if since < until else None

    def fields(self) -> dict[str, Any]:
        found = {"from": self.start, "until": self.end}
        return {name: instant(at) for name, at in found.items() if at is not None}


ALWAYS = Window()


def read_window(fields: Fields) -> Window:
    """The window in `from` and `until`."""
    start, end = maybe_instant(fields, "from"), maybe_instant(fields, "until")
    if start is not None and end is not None and end <= start:
        fields.refuse("until", "must lie after from")
    return Window(start, end)


def maybe_instant(fields: Fields, name: str) -> datetime | None:
    """An RFC 3339 time, rounded down to ten seconds; None where it is missing or wrong."""
    value = fields.raw(name)
    if value is None:
        return None
    try:
        return slot_of(_EPOCH + timedelta(milliseconds=parse_time_ms(value)))
    except (ValueError, TypeError, OverflowError, AttributeError):
        fields.refuse(name, 'must be an RFC 3339 time, such as "2026-11-01T00:00:00Z"')
        return None
