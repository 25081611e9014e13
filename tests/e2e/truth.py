"""Events with known truth: what was made is summed in a dict as it is made."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

TENANTS = ("acme", "brill", "corto", "dune", "unheard-of")
SOURCES = ("app-1", "app-2", "app-3")
REGIONS = ("eu", "us", "")


class Truth:
    """Makes events from a seed. `counts`, `bytes` and `seconds` are by (tenant, hour); `regions`
    counts by (tenant, region)."""

    def __init__(self, seed: int, now: datetime) -> None:
        self._random = random.Random(seed)
        self._begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
        self._span_seconds = int((now - self._begin).total_seconds())
        self._made = 0
        self.counts: dict[tuple[str, datetime], int] = defaultdict(int)
        self.bytes: dict[tuple[str, datetime], int] = defaultdict(int)
        self.seconds: dict[tuple[str, datetime], Decimal] = defaultdict(Decimal)
        self.regions: dict[tuple[str, str], int] = defaultdict(int)
        self.good = self.bad = 0

    @property
    def begin(self) -> datetime:
        """No event is older."""
        return self._begin

    def event(self) -> dict[str, Any]:
        """A good event, added to the sums."""
        pick = self._random
        self._made += 1
        at = self._begin + timedelta(milliseconds=pick.randrange(self._span_seconds * 1000))
        tenant, region = pick.choice(TENANTS), pick.choice(REGIONS)
        size, seconds = pick.randrange(100_000), Decimal(pick.randrange(9_999)).scaleb(-3)
        hour = tenant, at.replace(minute=0, second=0, microsecond=0)
        self.counts[hour] += 1
        self.bytes[hour] += size
        self.seconds[hour] += seconds
        self.regions[tenant, region] += 1
        self.good += 1
        return {
            "specversion": "1.0",
            "id": f"{self._made:08x}",
            "source": pick.choice(SOURCES),
            "type": "http.request",
            "subject": tenant,
            "time": at.isoformat().replace("+00:00", "Z"),
            "data": {"bytes": size, "seconds": str(seconds), "region": region},
        }

    def bad_event(self) -> dict[str, Any]:
        """An event that cannot be counted."""
        event = {
            "specversion": "1.0",
            "id": f"bad-{self.bad}",
            "source": "app-1",
            "type": "http.request",
            "subject": "acme",
            "time": datetime.now(UTC).isoformat(),
            "data": {"bytes": 1},
        }
        spoil: tuple[tuple[str, Any], ...] = (
            ("subject", ""),
            ("time", "yesterday"),
            ("time", "1970-01-01T00:00:00Z"),
            ("id", None),
        )
        name, value = spoil[self.bad % len(spoil)]
        event[name] = value
        self.bad += 1
        return event

    def requests(self, events: int, size: int) -> list[list[dict[str, Any]]]:
        """About `events` events in requests of `size`: 1 % bad, one in ten sent twice, shuffled."""
        made: list[dict[str, Any]] = []
        while len(made) < events:
            if self._random.random() < 0.01:
                made.append(self.bad_event())
                continue
            event = self.event()
            made.append(event)
            if self._random.random() < 0.1:
                made.append(event)
        # Repeats land up to some thousand events after the first copy, in another request.
        order = [(index + self._random.random() * 3000, index) for index in range(len(made))]
        shuffled = [made[index] for _, index in sorted(order)]
        return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
