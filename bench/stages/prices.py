"""What to rate to see how fast each price model is.

A charge line is what a subscription owes for one price and one period: one call of the pure
function, settled as charges keep it, with all the steps that explain it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from rating.price import Price, price_of
from rating.prices.model import NOTHING_SEEN, Seen
from rating.proration import Proration
from rating.rate import Context, Usage, rate

WHOLE: Final = Context("USD")
HALF_A_MONTH: Final = Context(
    "USD",
    Proration(
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 16, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """`quantities` are rated in turn, so that no answer can be remembered."""

    what: str
    price: Price
    seen: Seen = NOTHING_SEEN
    context: Context = WHOLE
    quantities: tuple[Decimal, ...] = tuple(
        Decimal(7919 * number + 1) + Decimal(number).scaleb(-3) for number in range(64)
    )


def _tiers(amount: str) -> list[dict[str, Any]]:
    ends = ("100", "1000", "10000", "100000", None)
    return [
        {"up_to": end, amount: f"0.0{9 - index}5", "flat_amount": str(index)}
        for index, end in enumerate(ends)
    ]


def _work(what: str, price: Mapping[str, Any], **more: Any) -> Work:
    return Work(what=what, price=price_of(price), **more)


MODELS: Final[dict[str, Work]] = {
    "flat": _work("flat", {"model": "flat", "amount": "49"}),
    "flat.prorated": _work(
        "flat, half a month", {"model": "flat", "amount": "49"}, context=HALF_A_MONTH
    ),
    "unit": _work("per unit", {"model": "unit", "unit_amount": "0.0023"}),
    "unit.modified": _work(
        "per unit, with every modifier",
        {
            "model": "unit",
            "unit_amount": "0.0023",
            "conversion": {"divide": "1000", "rounding": "ceiling"},
            "included": "10",
            "discount": {"percent": "12.5"},
            "maximum": "1000",
            "minimum": "1",
        },
    ),
    "graduated": _work(
        "graduated, 5 tiers", {"model": "graduated", "tiers": _tiers("unit_amount")}
    ),
    "volume": _work("volume, 5 tiers", {"model": "volume", "tiers": _tiers("unit_amount")}),
    "package": _work("package", {"model": "package", "package_size": "100", "amount": "1.5"}),
    "percentage": _work(
        "percentage, 10 events",
        {"model": "percentage", "rate": "0.0299", "fixed_amount": "0.3", "free_events": "2"},
        seen=Seen(amounts=tuple(Decimal(number) for number in range(10, 20))),
    ),
    "graduated_percentage": _work(
        "graduated percentage, 5 tiers", {"model": "graduated_percentage", "tiers": _tiers("rate")}
    ),
    "matrix": _work(
        "matrix, 100 cells",
        {
            "model": "matrix",
            "dimensions": ["region"],
            "default": "1",
            "cells": [{"group": {"region": f"r{n}"}, "unit_amount": "2"} for n in range(100)],
        },
        seen=Seen(group={"region": "r50"}),
    ),
    "dynamic": _work("dynamic", {"model": "dynamic", "multiplier": "1.33333"}),
    "time_weighted": _work(
        "time-weighted, by the month",
        {"model": "time_weighted", "unit_amount": "1", "per": "month"},
        seen=Seen(hours=Decimal(744)),
    ),
}


def charge_lines(work: Work, cpu_seconds: float) -> tuple[int, float]:
    """(charge lines, CPU seconds of this thread) of at least so many CPU seconds of work."""
    usages = [Usage(quantity, work.seen) for quantity in work.quantities]
    lines = 0
    began = time.thread_time()
    while (spent := time.thread_time() - began) < cpu_seconds:
        for usage in usages:
            rate(work.price, usage, work.context).settled()
        lines += len(usages)
    return lines, spent
