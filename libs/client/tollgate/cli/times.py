"""Times on the command line."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_time(value: str) -> datetime:
    """RFC 3339 (without an offset: UTC), a date, "now", or a span back from now: 30m, 6h, 7d."""
    text = value.strip()
    if text == "now":
        return datetime.now(UTC)
    if text[-1:] in UNITS and text[:-1].isdecimal() and len(text) < 8:
        return datetime.now(UTC) - timedelta(**{UNITS[text[-1]]: int(text[:-1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not a time: {parse_time.__doc__}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def parse_day_or_time(value: str) -> date:
    """A date, which is a day of each tenant's clock, or a time as `parse_time` reads it."""
    if DAY.fullmatch(value.strip()) is None:
        return parse_time(value)
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not a day of the calendar") from None


Begin = Annotated[
    date,
    typer.Option(
        "--from",
        parser=parse_day_or_time,
        metavar="DAY",
        help="The billing periods that begin on that day (of each tenant's clock) or later.",
    ),
]
End = Annotated[
    date,
    typer.Option("--to", parser=parse_day_or_time, metavar="DAY", help="And before this day."),
]
From = Annotated[
    datetime | None,
    typer.Option("--from", parser=parse_time, metavar="TIME", help="From then on; 7d: a span."),
]
To = Annotated[
    datetime | None, typer.Option("--to", parser=parse_time, metavar="TIME", help="Before then.")
]
