"""What a spool must still hold, given what was promised before the power went."""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.lock import DirectoryLock
from collector.spool.values import Identity
from collector.spool.writer import SPOOL_FILE, Ack, Change, Spool
from tests.simulation.power_loss.spool_life import (
    LOG,
    NODE,
    SPOOL,
    Accepted,
    Opened,
    Shipped,
    Submitted,
    held_events,
)


@dataclass(frozen=True)
class Found:
    """What the product finds when it starts on what the power cut left."""

    identity: Identity
    events: dict[int, bytes]
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
        events = held_events(spool)
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
    if rows != len(events) + 1:
        sound = f"{rows} events after {len(events)} and one more"
    offset = positions[-1].offset if positions else 0
    return Found(identity, events, offset, parked, receipt.first_seq, sound)


@dataclass
class SpoolOracle:
    """Learns what was promised; says what of it an observation breaks."""

    epoch: str | None = None
    changes: dict[int, Change] = field(default_factory=dict)
    given: dict[int, bytes] = field(default_factory=dict)
    next_seq: int = 1
    acks: set[int] = field(default_factory=set)
    acked: set[int] = field(default_factory=set)
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
                    self.acks.update(_sequences(change.ack))
            case Accepted(number, receipt):
                change = self.changes[number]
                for seq, body in enumerate(change.events, receipt.first_seq):
                    self._give(seq, self._named(seq, body) if change.made_here else body)
                self.next_seq = max(self.next_seq, receipt.next_seq)
                self.parked.update(item.body for item in change.parked)
                self.position = max([self.position, *[p.offset for p in change.positions]])
                if change.ack is not None:
                    self.acked.update(_sequences(change.ack))
            case Shipped(events):
                for seq, body in events.items():
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
        next_seq = found.identity.next_seq
        taken = set(range(1, found.identity.acked_seq + 1))
        for first, last in found.identity.ahead:
            taken.update(range(first, last + 1))
        if next_seq < self.next_seq:
            wrong.append(f"numbers from {next_seq} on would be given twice, up to {self.next_seq}")
        if found.next_receipt != next_seq:
            wrong.append(f"after {next_seq - 1} came {found.next_receipt}")
        if taken | found.events.keys() != set(range(1, next_seq)) or taken & found.events.keys():
            wrong.append(f"a hole: {sorted(found.events)} below {next_seq}")
        if not self.acked <= taken <= self.acks:
            wrong.append(f"acknowledged are {sorted(taken)}")
        for seq, body in self.given.items():
            if seq not in taken and found.events.get(seq) != body:
                wrong.append(f"event {seq} was promised and is {str(found.events.get(seq))[:60]}")
        for seq, body in found.events.items():
            if b'"line":' not in body and body not in self.bodies_ever:
                wrong.append(f"nobody handed over event {seq}: {body[:60]!r}")
        gone = [body for seq, body in self.given.items() if seq in taken]
        everything = [json.loads(body) for body in [*found.events.values(), *gone]]
        lines = sorted(one["line"] for one in everything if "line" in one)
        if lines != list(range(found.position)):
            wrong.append(f"read up to line {found.position}, with events for {lines}")
        if len({one["id"] for one in everything}) != len(everything):
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


def _sequences(ack: Ack) -> range:
    return range(ack.first_seq, ack.last_seq + 1)
