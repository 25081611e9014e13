"""Whoever sends: API processes with the real acceptance and intake, HTTP clients, and nodes."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from common.errors import ApiError
from ingest.accept import Frame
from ingest.intake import Intake
from tests.simulation.process import Crashed, Process, ProcessBus

if TYPE_CHECKING:
    from tests.simulation.pipeline.world import World

FAILED = (ApiError, ConnectionError, TimeoutError, Crashed)
"""What a client sees of a request whose outcome it does not know."""
RESTART_SECONDS = 0.3
APPEND_SECONDS = 1.0
BATCH_EVENTS = 8
SEAL_SECONDS = 1.0
"""A node that has nothing to send says so this often."""


class Api:
    """The API process of a slot, and its successors when it is killed."""

    def __init__(self, world: "World", slot: str) -> None:
        self.slot = slot
        self._world = world
        self._generation = 0
        self.process = self._start()

    def now_ms(self) -> int:
        """The clock of the host."""
        return self._world.clock_ms(self.slot)

    async def take(self, elements: Sequence[bytes], frame: Frame | None = None) -> None:
        """POST: returns when it was answered with 2xx, and raises one of `FAILED` otherwise."""
        process = await self._living()
        await process.gate("request")
        intake = Intake(ProcessBus(process, self._world.log), APPEND_SECONDS)
        await intake.take(elements, self.now_ms(), frame)
        await process.gate("answer")

    async def _living(self) -> Process:
        if self.process.dead:
            await asyncio.sleep(RESTART_SECONDS)
            if self.process.dead:
                self.process = self._start()
        return self.process

    def _start(self) -> Process:
        self._generation += 1
        return self._world.process(self.slot, self._generation)


class Client:
    """Posts requests, and again until they are answered."""

    def __init__(self, world: "World", name: str) -> None:
        self._world, self._random = world, Random(f"{name} {world.scenario.seed}")

    async def post(self, elements: Sequence[bytes]) -> None:
        while True:
            api = self._random.choice(self._world.apis)
            try:
                await api.take(elements)
            except FAILED:
                await asyncio.sleep(self._random.random() * 0.5)
            else:
                self._world.acknowledged += len(elements)
                return


class Node:
    """A collector: numbers what it sees, sends it in batches, and says how far it is complete.

    What a batch holds may differ from one attempt to the next. `seen`: the node's own time of
    each element, by (epoch, seq), for what a seal promises.
    """

    def __init__(self, world: "World", name: str) -> None:
        self.name, self.epoch = name, "1"
        self.spool: list[tuple[int, int, bytes]] = []
        """(seq, when it was seen, element) of what was not acknowledged."""
        self.seen: dict[tuple[str, int], list[int]] = {}
        self.next_seq = 1
        self._old = (1, 0)
        self._world, self._random = world, Random(f"{name} {world.scenario.seed}")
        self._last_ms = 0
        self._sealed_at = 0.0

    def see(self, element: bytes, *, own: bool) -> None:
        """Take in an event; the node's own is named by its place."""
        if own:
            event = msgspec.json.decode(element)
            event |= {"source": self.name, "id": f"{self.epoch}-{self.next_seq}"}
            event.setdefault("time", self._world.rfc3339(self.now_ms()))
            element = msgspec.json.encode(event)
        seen_ms = self.now_ms()
        self.spool.append((self.next_seq, seen_ms, element))
        self.seen.setdefault((self.epoch, self.next_seq), []).append(seen_ms)
        self.next_seq += 1

    def restore(self) -> None:
        """The disk is replaced by a copy of an earlier day: numbers are given out again."""
        back = max(1, self.next_seq - 2)
        self.spool = [entry for entry in self.spool if entry[0] < back]
        for seq in range(back, self.next_seq):
            self._world.forgotten.add((self.name, self.epoch, seq))
        self.next_seq = back

    def now_ms(self) -> int:
        """The node's clock. It does not go back."""
        self._last_ms = max(self._last_ms, self._world.clock_ms(self.name))
        return self._last_ms

    @property
    def is_quiet(self) -> bool:
        return not self.spool

    async def ship(self) -> None:
        """Send for as long as the world lasts."""
        while True:
            await asyncio.sleep(0.05 + self._random.random() * 0.3)
            if not self.spool and self._world.clock() < self._sealed_at + SEAL_SECONDS:
                continue
            batch = self.spool[: self._random.randint(1, BATCH_EVENTS)]
            left = self.spool[len(batch) :]
            first_seq = batch[0][0] if batch else self.next_seq
            # What is not in this batch was seen at the earliest when the next entry was.
            sealed_through_ms = left[0][1] if left else self.now_ms()
            frame = Frame(self.name, self.epoch, first_seq, sealed_through_ms)
            try:
                api = self._random.choice(self._world.apis)
                await api.take([element for _, _, element in batch], frame)
            except FAILED:
                continue
            self._world.acknowledged += len(batch)
            self._sealed_at = self._world.clock()
            self.spool = [entry for entry in self.spool if entry not in batch]


def story(about: Any) -> str:
    """What an action is about, for people."""
    if isinstance(about, bytes):
        return about.decode()
    if isinstance(about, tuple):
        return "; ".join(map(story, about))
    return "" if about is None else str(about)
