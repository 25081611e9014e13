"""Makes events from a seed and writes them into the truth as it makes them."""

import random
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos.catalog import EVENT_TYPE, STRANGER, TENANTS
from chaos.truth import Bad, Made, Truth

BAD = 0.02
LATE = 0.1
STAMPED = 0.01
TWICE = 0.1
CONFLICT = 0.005
LATE_MOST = timedelta(days=5)
REPEATS_KEPT = 2_000

Element = dict[str, Any]


@dataclass
class Parcel:
    """A request's elements, with whom to tell when they are acknowledged."""

    elements: list[Element] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    repeats: list[tuple[Element, Made]] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    """Places of elements that the answer must list as rejected."""


class Repeats:
    """Events to be sent once more, by whichever client comes along; shared by all."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Element, Made]] = deque(maxlen=REPEATS_KEPT)
        self.taken: deque[tuple[Element, Made]] = deque(maxlen=REPEATS_KEPT)
        """Acknowledged by ingest itself: a copy with other content comes second for sure."""


class Maker:
    """Events of one client. `path`: how they travel; `place`: who parks the bad ones."""

    def __init__(
        self, seed: int, client: str, path: str, place: str, truth: Truth, repeats: Repeats
    ):
        self._random = random.Random(f"{seed}/{client}")
        self._client, self._path, self._place = client, path, place
        self._truth, self._repeats = truth, repeats
        self._count = 0

    def parcel(self, size: int) -> Parcel:
        """About `size` elements: new events, repeats of earlier ones, bad ones, conflicts."""
        parcel = Parcel()
        for _ in range(size):
            dice = self._random.random()
            if dice < BAD:
                self._add_bad(parcel)
            elif dice < BAD + CONFLICT and self._path == "http" and self._repeats.taken:
                self._add_conflict(parcel)
            else:
                self._add_good(parcel)
        while self._repeats.waiting and self._random.random() < 0.5:
            element, made = self._repeats.waiting.popleft()
            parcel.elements.append(element)
            parcel.made.append(made)
        return parcel

    def _add_good(self, parcel: Parcel) -> None:
        self._count += 1
        pick = self._random
        now_ms = time.time_ns() // 1_000_000
        stamped = pick.random() < STAMPED
        late = not stamped and pick.random() < LATE
        at_ms = now_ms - (pick.randrange(int(LATE_MOST.total_seconds() * 1000)) if late else 0)
        made = Made(
            tenant=pick.choice((*TENANTS, STRANGER)),
            source=f"{self._client}/app",
            id=f"{self._count:06d}",
            at_ms=None if stamped else at_ms,
            size=pick.randrange(100_000),
            millis=pick.randrange(9_999),
            page=pick.randrange(50),
            path=self._path,
        )
        element = event(made)
        self._truth.events.append(made)
        if stamped:
            self._truth.stamped.append(made)
        parcel.elements.append(element)
        parcel.made.append(made)
        if not stamped:
            parcel.repeats.append((element, made))

    def _add_bad(self, parcel: Parcel) -> None:
        self._count += 1
        marker = f"bad/{self._client}/{self._count}"
        element: Element = {
            "specversion": "1.0",
            "id": marker,
            "source": marker,
            "type": EVENT_TYPE,
            "subject": "aurora",
            "time": rfc3339(time.time_ns() // 1_000_000),
            "data": {"bytes": 1, "request_time": "0.001", "host": self._path, "uri": "/bad"},
        }
        spoil = self._random.choice(
            (
                ("subject", ""),
                ("time", "yesterday"),
                ("time", rfc3339((time.time_ns() // 1_000_000) - 60 * 86_400_000)),
                ("type", None),
                ("specversion", "0.3"),
            )
        )
        element[spoil[0]] = spoil[1]
        bad = Bad(marker, self._place)
        self._truth.bad.append(bad)
        parcel.bad.append(bad)
        parcel.refused.add(len(parcel.elements))
        parcel.elements.append(element)

    def _add_conflict(self, parcel: Parcel) -> None:
        element, made = self._random.choice(self._repeats.taken)
        other = element | {"data": element["data"] | {"bytes": made.size + 1}}
        parcel.elements.append(other)
        parcel.conflicts.append((made.source, made.id))

    def acknowledged(self, parcel: Parcel) -> None:
        """All of the parcel was answered for."""
        now = time.time()
        for made in parcel.made:
            made.acked_at = made.acked_at or now
        for bad in parcel.bad:
            bad.acked = True
        self._truth.conflicts += parcel.conflicts
        for repeat in parcel.repeats:
            if self._random.random() < TWICE:
                self._repeats.waiting.append(repeat)
            if self._path == "http":
                self._repeats.taken.append(repeat)


def event(made: Made) -> Element:
    """The event on the wire."""
    element: Element = {
        "specversion": "1.0",
        "id": made.id,
        "source": made.source,
        "type": EVENT_TYPE,
        "subject": made.tenant,
        "data": {
            "bytes": made.size,
            "request_time": seconds_text(made.millis),
            "host": made.path,
            "uri": f"/page/{made.page}",
        },
    }
    if made.at_ms is not None:
        element["time"] = rfc3339(made.at_ms)
    return element


def seconds_text(millis: int) -> str:
    return f"{millis // 1000}.{millis % 1000:03d}"


def rfc3339(unix_ms: int) -> str:
    at = datetime.fromtimestamp(unix_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"
