"""Times on the command line."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

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


Begin = Annotated[
    datetime, typer.Option("--from", parser=parse_time, metavar="TIME", help="From then on.")
]
End = Annotated[
    datetime, typer.Option("--to", parser=parse_time, metavar="TIME", help="Before then.")
]
From = Annotated[
    datetime | None,
    typer.Option("--from", parser=parse_time, metavar="TIME", help="From then on; 7d: a span."),
]
To = Annotated[
    datetime | None, typer.Option("--to", parser=parse_time, metavar="TIME", help="Before then.")
]
