"""What the gate's own access log says: counted without any part of Tollgate.

The log is JSON lines. A line is usage when it has a tenant and the gate let the request through;
refusals are what the quota is for, and cost nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

REFUSED = frozenset({401, 402, 403, 429, 503})


@dataclass
class Count:
    """One tenant's usage and refusals."""

    requests: int = 0
    bytes_out: int = 0
    seconds: Decimal = Decimal(0)
    refused: int = 0
    times: list[datetime] = field(default_factory=list)
    """When each billable request ended, in log order."""
    first_refusal: datetime | None = None

    def meters(self) -> dict[str, Decimal]:
        """The count by meter slug, as the demo's catalog names them."""
        return {
            "requests": Decimal(self.requests),
            "bytes-out": Decimal(self.bytes_out),
            "request-seconds": self.seconds,
        }


def count_log(lines: Iterable[str]) -> dict[str, Count]:
    """Usage by tenant. A number keeps the digits that the log wrote."""
    counts: dict[str, Count] = defaultdict(Count)
    for line in lines:
        entry = json.loads(line, parse_float=Decimal)
        if not entry["tenant"]:
            continue
        count = counts[entry["tenant"]]
        at = datetime.fromtimestamp(int(entry["msec"] * 1000) / 1000, UTC)
        if int(entry["status"]) in REFUSED:
            count.refused += 1
            count.first_refusal = count.first_refusal or at
            continue
        count.requests += 1
        count.bytes_out += int(entry["bytes"])
        count.seconds += Decimal(entry["request_time"])
        count.times.append(at)
    return dict(counts)


def read_log(path: Path) -> dict[str, Count]:
    """`count_log` of a file."""
    with path.open(encoding="utf-8") as lines:
        return count_log(line for line in lines if line.strip())


def crossing(count: Count, limit: Decimal) -> datetime | None:
    """When the request that went over `limit` ended; None if none did."""
    index = int(limit)
    return count.times[index] if len(count.times) > index else None
