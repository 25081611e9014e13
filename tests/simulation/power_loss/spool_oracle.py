"""What a spool must still hold, given what was promised before the power went."""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.lock import DirectoryLock
from collector.spool.values import Identity
from collector.spool.writer import SPOOL_FILE, Change, Spool
from tests.simulation.power_loss.spool_life import (
    LOG,
    NODE,
    SPOOL,
    Accepted,
    Opened,
    Shipped,
    Submitted,
)


@dataclass(frozen=True)
class Found:
    """What the product finds when it starts on what the power cut left."""

    identity: Identity
    first_seq: int
    bodies: list[bytes]
    position: int
    parked: list[bytes]
    next_receipt: int
    sound: str


def observe_spool(root: Path) -> Found | str:
    """Starts the spool of the product below `root`, twice; a sentence when it cannot."""
    (root / SPOOL.parent).mkdir(exist_ok=True)
    try:
        lock = DirectoryLock(root / SPOOL)
        spool = Spool(root / SPOOL, NODE, max_bytes=1 << 30)
    except Exception as error:
        return f"the spool does not open: {error!r}"
    try:
        identity = spool.state.identity
        first_seq, bodies = spool.read_events(identity.acked_seq, 1_000_000, 1 << 40)
        positions = spool.read_positions(LOG)
        parked = [row.body for row in spool.read_parked(0, 1_000_000)]
        receipt = spool.submit(Change(events=[b"{}"])).result(60)
    except Exception as error:
        return f"the spool does not work: {error!r}"
    finally:
        spool.close()
        lock.release()
    connection = sqlite3.connect(root / SPOOL / SPOOL_FILE)
    sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    rows = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.close()
    if rows != len(bodies) + 1:
        sound = f"{rows} events after {len(bodies)} and one more"
    offset = positions[-1].offset if positions else 0
    return Found(identity, first_seq, bodies, offset, parked, receipt.first_seq, sound)


@dataclass
class SpoolOracle:
    """Learns what was promised; says what of it an observation breaks."""

    epoch: str | None = None
    changes: dict[int, Change] = field(default_factory=dict)
    given: dict[int, bytes] = field(default_factory=dict)
    next_seq: int = 1
    acks: set[int] = field(default_factory=lambda: {0})
    acked_seq: int = 0
    parked: Counter[bytes] = field(default_factory=Counter)
    parked_ever: set[bytes] = field(default_factory=set)
    bodies_ever: set[bytes] = field(default_factory=set)
    position: int = 0

    def learn(self, what: Any) -> None:
        match what:
            case Opened(identity):
                self.epoch = self.epoch or identity.epoch
            case Submitted(number, change):
                self.changes[number] = change
                self.parked_ever |= {item.body for item in change.parked}
                if not change.made_here:
                    self.bodies_ever |= set(change.events)
                if change.ack is not None:
                    self.acks.add(change.ack.seq)
            case Accepted(number, receipt):
                change = self.changes[number]
                for seq, body in enumerate(change.events, receipt.first_seq):
                    self._give(seq, self._named(seq, body) if change.made_here else body)
                self.next_seq = max(self.next_seq, receipt.next_seq)
                self.parked.update(item.body for item in change.parked)
                self.position = max([self.position, *[p.offset for p in change.positions]])
                if change.ack is not None:
                    self.acked_seq = max(self.acked_seq, change.ack.seq)
            case Shipped(first_seq, bodies):
                for seq, body in enumerate(bodies, first_seq):
                    self._give(seq, body)

    def violations(self, found: Found | str) -> list[str]:
        if isinstance(found, str):
            return [found]
        wrong = [*self._in_events(found), *self._in_the_rest(found)]
        if found.sound != "ok":
            wrong.append(f"SQLite finds damage: {found.sound}")
        return wrong

    def _in_events(self, found: Found) -> list[str]:
        wrong = []
        acked_seq, next_seq = found.identity.acked_seq, found.identity.next_seq
        if next_seq < self.next_seq:
            wrong.append(f"numbers from {next_seq} on would be given twice, up to {self.next_seq}")
        if found.next_receipt != next_seq:
            wrong.append(f"after {next_seq - 1} came {found.next_receipt}")
        if found.first_seq != acked_seq + 1 or len(found.bodies) != next_seq - 1 - acked_seq:
            wrong.append(f"a hole: {len(found.bodies)} events from {acked_seq + 1} to {next_seq}")
        if acked_seq not in self.acks or acked_seq < self.acked_seq:
            wrong.append(f"acknowledged up to {acked_seq}, not {self.acked_seq}")
        held = dict(enumerate(found.bodies, found.first_seq))
        for seq, body in self.given.items():
            if seq > acked_seq and held.get(seq) != body:
                wrong.append(f"event {seq} was promised and is {str(held.get(seq))[:60]}")
        lines = [one["line"] for one in map(json.loads, found.bodies) if "line" in one]
        for seq, body in held.items():
            if b'"line":' not in body and body not in self.bodies_ever:
                wrong.append(f"nobody handed over event {seq}: {body[:60]!r}")
        acked = [body for seq, body in self.given.items() if seq <= acked_seq]
        lines += [one["line"] for one in map(json.loads, acked) if "line" in one]
        if sorted(lines) != list(range(found.position)):
            wrong.append(f"read up to line {found.position}, with events for {sorted(lines)}")
        names = [json.loads(body)["id"] for body in [*found.bodies, *acked]]
        if len(set(names)) != len(names):
            wrong.append("an event is there twice")
        return wrong

    def _in_the_rest(self, found: Found) -> list[str]:
        wrong = []
        if self.epoch is not None and found.identity.epoch != self.epoch:
            wrong.append("the spool is another one: a new epoch")
        if found.position < self.position:
            wrong.append(f"the log would be read again from line {found.position}")
        parked = Counter(found.parked)
        if (
            self.parked - parked
            or set(parked) - self.parked_ever
            or any(count > 1 for count in parked.values())
        ):
            wrong.append("parked items are missing, doubled or strange")
        return wrong

    def _give(self, seq: int, body: bytes) -> None:
        if self.given.setdefault(seq, body) != body:
            raise AssertionError(f"number {seq} was given twice")

    def _named(self, seq: int, body: bytes) -> bytes:
        assert self.epoch is not None
        return b'{"id":"%b-%d",%b' % (self.epoch.encode(), seq, body)
