"""The one processing loop of every stage.

A worker claims partitions by lease and runs one task for each: read, step, emit. Everything that
can go wrong ends the same way: the partition is dropped, and whoever claims it next starts from
what was committed.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from zlib import crc32

import asyncpg
import msgspec

from common.bus.types import Bus, BusError, Message, OffsetLost, Reader
from common.contracts.topics import Topic
from common.stream import metrics
from common.stream.gathering import GATHER_SECONDS, Gathering
from common.stream.position import OffsetGap, Position, advance
from common.stream.progress import Fenced, Progress, Session

log = logging.getLogger(__name__)

READ_MESSAGES = 2_000
STALL_SECONDS = 60.0
"""A reader that sees nothing for this long while the log has grown is replaced."""
WAIT_SECONDS = 0.5
"""The longest that one read waits."""
POLL_SECONDS = 0.05
"""How often is looked for more while data wait for their step."""
BALANCE_SECONDS = 10.0
"""How long a round of claims may take at least: short leases must not cut off a slow start."""
BUSY_SECONDS = 600.0
"""How long a lease is renewed for an owner that finishes no step; then it is taken for stuck."""
LOST = (BusError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a partition is dropped for and claimed again: somebody we depend on was away."""


class Partition:
    """An owned partition, as a stage sees it: its committed position and its own connection."""

    def __init__(self, position: Position, session: Session) -> None:
        self.position = position
        self.session = session
        self.state: Any = None
        """Whatever the stage keeps in memory for this partition; it dies with the claim."""
        self.stepped_at = asyncio.get_running_loop().time()
        """When the last step was committed (the claim counts as one), by the event loop's clock."""

    @property
    def connection(self) -> Any:
        """The owner's database connection: never used by two tasks at once."""
        return self.session.connection

    @property
    def number(self) -> int:
        return self.position.partition

    @property
    def next_offset(self) -> int:
        return self.position.next_offset

    @property
    def emitted_offset(self) -> int:
        return self.position.emitted_offset

    @property
    def watermark_ms(self) -> int | None:
        return self.position.watermark_ms

    def emitted(self, offset: int) -> None:
        """Everything below `offset` has been emitted and acknowledged. Committed with the next
        step, so after a crash a little is emitted again, which receivers drop."""
        if not self.position.emitted_offset <= offset <= self.position.next_offset:
            raise ValueError(f"emitted {offset} is not within {self.position}")
        self.position = msgspec.structs.replace(self.position, emitted_offset=offset)


class Stage(Protocol):
    """What a service does with a topic. The processor calls, for each owned partition and from
    one task: `recover` once, then `apply` and `emit` in turn."""

    topic: Topic
    root: bool
    """Whether this is the first stage, whose watermark is the broker's clock."""
    tick_seconds: float | None
    """`apply` is called at least this often while there are no messages; None: as often as the
    lease asks for, about every third of it. Under load it is called with every step, and those
    are `gather_seconds` apart at the most, and what a step takes."""

    async def recover(self, part: Partition) -> None:
        """Take over: emit again what was committed and perhaps not emitted (it is deterministic),
        call `part.emitted`, and load what `apply` needs."""
        ...

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Any:
        """The effect, inside the step's transaction `tx`; the position has been moved in it.

        `messages` are data, in order, each seen for the first time. `part.position` is already
        the new one. Returns what `emit` needs. Must not emit, and must not keep anything in
        memory that a rollback would have to undo.
        """
        ...

    async def emit(self, part: Partition, effect: Any) -> None:
        """After the commit: emit what was committed, in order, and call `part.emitted`."""
        ...


class Processor:
    """Runs a stage over the partitions that this worker can claim."""

    def __init__(
        self,
        *,
        bus: Bus,
        progress: Progress,
        stage: Stage,
        worker: str,
        lease_seconds: float = 10,
        read_messages: int = READ_MESSAGES,
        gather_seconds: float = GATHER_SECONDS,
        on_position: Callable[[Position], None] | None = None,
    ) -> None:
        self._bus, self._progress, self._stage, self._worker = bus, progress, stage, worker
        self._lease_seconds, self._read_messages = lease_seconds, read_messages
        self._gather_seconds = gather_seconds
        self._on_position = on_position
        self._stopping = asyncio.Event()
        self._owned: dict[int, asyncio.Task[None]] = {}
        self._give_back: set[int] = set()
        self._healthy_at = float("-inf")

    @property
    def is_ready(self) -> bool:
        """Whether leases were kept up recently."""
        return asyncio.get_running_loop().time() - self._healthy_at < 2 * self._lease_seconds

    @property
    def owned(self) -> list[int]:
        """The partitions that this worker runs now."""
        return sorted(number for number, task in self._owned.items() if not task.done())

    async def run(self) -> None:
        """Claim and process until `stop`; then finish the steps under way and release."""
        try:
            while not self._stopping.is_set():
                try:
                    async with asyncio.timeout(max(self._lease_seconds, BALANCE_SECONDS)):
                        await self._balance()
                    self._healthy_at = asyncio.get_running_loop().time()
                except LOST as error:
                    log.warning("%s: leases: %r; trying again", self._stage.topic.name, error)
                await self._pause(self._lease_seconds / 5)
            await asyncio.gather(*self._owned.values(), return_exceptions=True)
        finally:  # when cancelled, no partition goes on without the loop that keeps its lease
            for task in self._owned.values():
                task.cancel()
        try:
            async with asyncio.timeout(self._lease_seconds):
                await self._progress.leave(self._stage.topic.name, self._worker)
        except LOST as error:
            log.warning("%s: leaving: %r", self._stage.topic.name, error)

    def stop(self) -> None:
        """Ask `run` to end after the steps under way."""
        self._stopping.set()

    async def _balance(self) -> None:
        """Hold at most a fair share of the partitions, and claim what is free up to it."""
        topic = self._stage.topic.name
        live = await self._progress.heartbeat(topic, self._worker, self._lease_seconds)
        count = await self._bus.partitions(topic)
        share = -(-count // max(1, live))
        owned = self.owned
        self._give_back = set(owned[share:])
        for number in sorted(
            range(count), key=lambda n: (n + crc32(self._worker.encode())) % count
        ):
            if len(self.owned) >= share:
                break
            if number in self.owned:
                continue
            beginning = await self._bus.beginning_offset(topic, number)
            position = await self._progress.claim(
                topic, number, self._worker, self._lease_seconds, beginning
            )
            if position is not None:
                self._owned[number] = asyncio.create_task(self._own(position))

    async def _own(self, position: Position) -> None:
        """Process one partition until it is given back, lost or fenced."""
        name = f"{position.topic}/{position.partition}"
        log.info("%s: claimed at %d, epoch %d", name, position.next_offset, position.epoch)
        try:
            await self._hold(position)
        except Fenced as error:
            metrics.FENCED.labels(position.topic).inc()
            log.warning("%s: fenced, somebody else owns it now: %s", name, error)
        except (OffsetGap, OffsetLost) as error:
            metrics.GAPS.labels(position.topic).inc()
            log.critical("%s: stopped, records are missing: %s", name, error)
            await self._pause(self._lease_seconds)
        except LOST as error:
            by_database = isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError)
            log.warning("%s: dropped, to be claimed again: %r", name, error, exc_info=by_database)
            await self._pause(1)
        except Exception:
            log.exception("%s: the step failed; it will be tried again from the start", name)
            await self._pause(self._lease_seconds / 2)
        finally:
            metrics.forget(position)

    async def _hold(self, position: Position) -> None:
        session = await self._progress.session(position)
        try:
            part = Partition(position, session)
            await self._keeping_lease(part, self._work(part))
            await session.release(part.position)
            log.info("%s/%d: released at %d", position.topic, part.number, part.next_offset)
        finally:
            await session.close()

    async def _work(self, part: Partition) -> None:
        await self._stage.recover(part)
        reader = await self._bus.reader(part.position.topic, part.number, part.next_offset)
        try:
            await self._process(part, reader)
        finally:
            await reader.close()

    async def _keeping_lease(self, part: Partition, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` while the lease is renewed beside it: steps renew it, but recovering, a large
        step or a slow broker may take longer than a lease. Losing it ends the work."""
        working = asyncio.create_task(work)
        keeping = asyncio.create_task(self._keep_lease(part))
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            first = working if working.done() else keeping
        finally:
            working.cancel()
            keeping.cancel()
            await asyncio.wait({working, keeping})
            for task in (working, keeping):
                if not task.cancelled():
                    task.exception()  # seen; the first to end is the one that tells
        first.result()

    async def _keep_lease(self, part: Partition) -> None:
        now = asyncio.get_running_loop().time
        while now() - part.stepped_at < BUSY_SECONDS:
            await asyncio.sleep(self._lease_seconds / 4)
            if now() - part.stepped_at < self._lease_seconds / 2:
                continue
            try:
                await self._progress.renew(part.position, self._lease_seconds)
            except LOST as error:
                log.warning("%s/%d: renewing: %r", part.position.topic, part.number, error)
        raise TimeoutError(f"no step finished for {BUSY_SECONDS:.0f} s")

    async def _process(self, part: Partition, reader: Reader) -> None:
        tick = self._stage.tick_seconds
        idle_seconds = min(tick or self._lease_seconds / 3, self._lease_seconds / 3)
        clock = asyncio.get_running_loop().time
        heard_at = clock()
        gathering = Gathering(
            heard_at,
            idle_seconds=idle_seconds,
            messages_max=self._read_messages,
            gather_seconds=self._gather_seconds,
        )
        while not self._stopping.is_set() and part.number not in self._give_back:
            left = gathering.seconds_left(clock())
            if gathering.has_data:
                # Beside the reads the client fetches; what it has by then comes at once.
                await self._pause(min(left, POLL_SECONDS))
                left = 0.0
            messages = await reader.read(gathering.room, min(left, WAIT_SECONDS))
            now = clock()
            if messages:
                heard_at = now
            elif now - heard_at > STALL_SECONDS:
                await self._check_stall(part)
                heard_at = now
            gathering.take(messages)
            if not gathering.seconds_left(now):
                await self._step(part, gathering.messages)
                gathering.stepped(now, clock())

    async def _step(self, part: Partition, messages: list[Message]) -> None:
        """One step: the effect and the position in one transaction, then the emission."""
        clock = asyncio.get_running_loop().time
        began = clock()
        topic = self._stage.topic
        before = part.position
        moved = advance(before, messages, compacted=topic.compacted, root=self._stage.root)
        async with part.session.step(before, moved.position, self._lease_seconds) as tx:
            part.position = moved.position
            effect = await self._stage.apply(tx, part, moved.fresh)
        part.stepped_at = clock()
        if part.stepped_at - began > self._lease_seconds / 2:
            # Frozen or slow: emitting late is harmless to receivers that saw the successor's
            # records, but a compacted topic would keep the older value. Ask first.
            await self._progress.renew(part.position, self._lease_seconds)
        await self._stage.emit(part, effect)
        metrics.observe_step(part.position, len(messages), moved.repeated, began)
        if self._on_position is not None:
            self._on_position(part.position)

    async def _check_stall(self, part: Partition) -> None:
        end = await self._bus.end_offset(part.position.topic, part.number)
        if end > part.next_offset:
            raise BusError(f"nothing read for {STALL_SECONDS:.0f} s at {part.next_offset} of {end}")

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
