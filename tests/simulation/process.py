"""A process of the simulation: whatever it does outside of itself passes its gate, where it can be
killed, frozen, slowed or cut off."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from common.bus import BusError, Message, Reader, Record
from common.bus.memory import MemoryBus
from common.stream.memory import InFlight


class Crashed(BaseException):
    """The process is dead: no handler of the product runs on it."""


class Fault(NamedTuple):
    """What happens at a gate.

    crash   the process is dead.
    freeze  the whole process stands still for `seconds`.
    slow    this one call takes `seconds` longer.
    cut     the connection breaks; what was asked for has not happened, or has, by the point.
    late    the connection breaks, and a commit or the rest of an append under way takes effect
            `seconds` later.
    """

    kind: str
    seconds: float = 0.0


Decide = Callable[["Process", str], Fault | None]
"""(process, point) -> what happens there."""


class Process:
    """`decide` says what happens at each gate; `random` how long each call takes."""

    def __init__(
        self, name: str, *, random: Random, decide: Decide, jitter_seconds: float = 0.01
    ) -> None:
        self.name, self.random = name, random
        self.dead = False
        self.frozen_until = 0.0
        self._decide, self._jitter_seconds = decide, jitter_seconds
        self._died = asyncio.Event()

    async def gate(self, point: str) -> None:
        """Pass on to what `point` names, or meet a fault."""
        loop = asyncio.get_running_loop()
        if self.dead:
            raise Crashed("dead already")
        fault = self._decide(self, point)
        dice = self.random.random()
        seconds = (dice - 0.5) * 2 * self._jitter_seconds if dice > 0.5 else 0.0
        if fault is not None:
            if fault.kind == "crash":
                self.dead = True
                self._died.set()
                raise Crashed(point)
            if fault.kind == "freeze":
                self.frozen_until = max(self.frozen_until, loop.time() + fault.seconds)
            elif fault.kind == "slow":
                seconds += fault.seconds
        await asyncio.sleep(seconds)
        while (left := self.frozen_until - loop.time()) > 0:  # noqa: ASYNC110 (it may grow)
            await asyncio.sleep(left)
        if self.dead:
            raise Crashed("dead already")
        if fault is not None and fault.kind == "cut":
            raise ConnectionResetError(point)
        if fault is not None and fault.kind == "late":
            raise InFlight(point, fault.seconds)

    async def run(self, *doings: Coroutine[Any, Any, Any]) -> None:
        """Run until all are done, or the process is killed; a killed one cleans nothing up."""
        tasks = [asyncio.create_task(doing) for doing in doings]
        died = asyncio.create_task(self._died.wait())
        with contextlib.suppress(asyncio.CancelledError):
            finished = asyncio.gather(*tasks, return_exceptions=True)
            either: set[asyncio.Future[Any]] = {died, finished}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Log:
    """The bus of a simulation, and what broken connections still have under way to it."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def deliver_later(
        self, topic: str, left: Mapping[int, Sequence[Record]], seconds: float
    ) -> None:
        """What a broken connection had in flight arrives, in order, after `seconds`."""
        rest = {number: list(records) for number, records in left.items() if records}

        async def deliver() -> None:
            await asyncio.sleep(seconds)
            await self.bus.append(topic, rest)

        task = asyncio.create_task(deliver())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


class ProcessBus:
    """The log as one process reaches it. Records of an append arrive one by one."""

    def __init__(self, process: Process, log: Log) -> None:
        self._process, self._log, self._bus = process, log, log.bus

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        left = {number: list(records) for number, records in batches.items() if records}
        while left:
            number = self._process.random.choice(list(left))
            try:
                await self._process.gate(f"append {topic}")
            except ConnectionResetError as error:
                if isinstance(error, InFlight):
                    self._log.deliver_later(topic, left, error.seconds)
                raise BusError("not confirmed") from error
            await self._bus.append(topic, {number: [left[number].pop(0)]})
            if not left[number]:
                del left[number]
        await self.pass_gate(f"appended {topic}")

    async def reader(self, topic: str, partition: int, offset: int) -> Reader:
        await self.pass_gate(f"open {topic}")
        return _ProcessReader(self, topic, await self._bus.reader(topic, partition, offset))

    async def partitions(self, topic: str) -> int:
        return await self._bus.partitions(topic)

    async def beginning_offset(self, topic: str, partition: int) -> int:
        await self.pass_gate(f"beginning of {topic}")
        return await self._bus.beginning_offset(topic, partition)

    async def end_offset(self, topic: str, partition: int) -> int:
        await self.pass_gate(f"end of {topic}")
        return await self._bus.end_offset(topic, partition)

    async def pass_gate(self, point: str) -> None:
        """A gate at which a broken connection is the bus's error."""
        try:
            await self._process.gate(point)
        except ConnectionResetError as error:
            raise BusError(point) from error


class _ProcessReader:
    def __init__(self, bus: ProcessBus, topic: str, reader: Reader) -> None:
        self._bus, self._topic, self._reader = bus, topic, reader

    async def read(self, max_messages: int, wait_seconds: float) -> list[Message]:
        messages = await self._reader.read(max_messages, wait_seconds)
        if messages:
            await self._bus.pass_gate(f"have read {self._topic}")
        return messages

    async def seek(self, offset: int) -> None:
        await self._reader.seek(offset)

    async def close(self) -> None: ...
