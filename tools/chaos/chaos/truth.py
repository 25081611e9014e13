"""What was sent, kept outside the system, and what it adds up to."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

HOUR_MS = 3_600_000
SLOT_MS = 10_000


@dataclass(slots=True)
class Made:
    """A good event. `at_ms`: its time, None while only the system knows it (it stamps events that
    come without one). `path`: how it first came in. `sent_at` and `acked_at`: Unix seconds of the
    first attempt and of the first answer that took it."""

    tenant: str
    source: str
    id: str
    at_ms: int | None
    size: int
    millis: int
    page: int
    path: str
    sent_at: float = 0.0
    acked_at: float | None = None

    @property
    def is_stamped(self) -> bool:
        return self.at_ms is None


@dataclass(slots=True)
class Bad:
    """An event that cannot be counted. `place`: who has to list it (`ingest` or a collector), by
    its `marker`."""

    marker: str
    place: str
    acked: bool = False


@dataclass
class Truth:
    """Everything that was made."""

    events: list[Made] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    """(source, id) of copies with other content, sent when the first was acknowledged."""
    stamped: list[Made] = field(default_factory=list)
    """Events without a time; also among `events`."""
    surprises: list[str] = field(default_factory=list)
    """Answers that a client must never get."""


class Cell(NamedTuple):
    """Where usage is summed. `host`: the event's path; empty where the meter is not grouped."""

    tenant: str
    hour: datetime
    meter: str
    host: str = ""


def cell_sums(events: Iterable[Made]) -> dict[Cell, Decimal]:
    """Usage by tenant, hour, meter and host, for the meters of `chaos.catalog`."""
    sums: dict[Cell, Decimal] = defaultdict(Decimal)
    pages: dict[Cell, set[int]] = defaultdict(set)
    for made in events:
        assert made.at_ms is not None, f"{made.id} has no time yet"
        hour = datetime.fromtimestamp(made.at_ms // HOUR_MS * 3600, UTC)
        sums[Cell(made.tenant, hour, "requests", made.path)] += 1
        sums[Cell(made.tenant, hour, "bytes")] += made.size
        sums[Cell(made.tenant, hour, "seconds")] += Decimal(made.millis).scaleb(-3)
        peak = Cell(made.tenant, hour, "peak", made.path)
        sums[peak] = max(sums[peak], Decimal(made.size))
        pages[Cell(made.tenant, hour, "pages")].add(made.page)
    return dict(sums) | {cell: Decimal(len(found)) for cell, found in pages.items()}


class SlotSums:
    """What events add up to in slots of ten seconds, on which every billing period is cut, for the
    meters that are priced."""

    METERS = ("requests", "bytes", "seconds")

    def __init__(self, events: Iterable[Made]) -> None:
        self._sums: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(
            lambda: defaultdict(Decimal)
        )
        for made in events:
            assert made.at_ms is not None, f"{made.id} has no time yet"
            slot = made.at_ms // SLOT_MS
            self._sums[made.tenant, "requests"][slot] += 1
            self._sums[made.tenant, "bytes"][slot] += made.size
            self._sums[made.tenant, "seconds"][slot] += Decimal(made.millis).scaleb(-3)

    def quantity(self, tenant: str, meter: str, begin: datetime, end: datetime) -> Decimal:
        """Usage in [begin, end), both on slots."""
        first, last = (int(at.timestamp() * 1000) // SLOT_MS for at in (begin, end))
        found = self._sums.get((tenant, meter), {})
        return sum((value for slot, value in found.items() if first <= slot < last), Decimal(0))
