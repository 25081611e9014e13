"""What runs a stage in a process: processor, mirror of its positions, gauge of its lag."""

import asyncio
import contextlib
import logging

import asyncpg

from common.bus.group_offsets import GroupOffsets
from common.bus.types import Bus, BusError
from common.settings import StreamSettings
from common.stream import metrics
from common.stream.gathering import GATHER_SECONDS
from common.stream.position import Position
from common.stream.processor import READ_MESSAGES, Processor, Stage
from common.stream.progress import PostgresProgress

log = logging.getLogger(__name__)

LAG_SECONDS = 5.0


class StageWorker:
    """Runs `stage` over the partitions that this process can claim.

    `schema`: where the kernel's tables are. Kafka's own tools see the positions under the group
    "tollgate-<schema>". `read_messages`: the most that one step takes; `gather_seconds`: how long
    data wait for company at the most, under load.
    """

    def __init__(
        self,
        settings: StreamSettings,
        *,
        bus: Bus,
        pool: asyncpg.Pool,
        schema: str,
        stage: Stage,
        read_messages: int = READ_MESSAGES,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._bus, self._topic = bus, stage.topic.name
        self._mirror = GroupOffsets(
            settings.kafka, f"tollgate-{schema}", prefix=settings.topic_prefix
        )
        self._positions: dict[int, Position] = {}
        self._processor = Processor(
            bus=bus,
            progress=PostgresProgress(pool, schema, settings.database_url),
            stage=stage,
            worker=settings.worker_id,
            lease_seconds=settings.lease_seconds,
            read_messages=read_messages,
            gather_seconds=gather_seconds,
            on_position=self._note,
        )
        self._stopping = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether leases were kept up recently."""
        return self._processor.is_ready

    async def run(self) -> None:
        """Until `stop`; the steps under way are finished and the leases given back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mirror.run())
            group.create_task(self._measure_lag())
            group.create_task(self._processor.run())

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()
        self._processor.stop()
        self._mirror.stop()

    def _note(self, position: Position) -> None:
        self._positions[position.partition] = position
        self._mirror.note(position)

    async def _measure_lag(self) -> None:
        """Tell how far behind each owned partition is; a partition given back is another's."""
        while not self._stopping.is_set():
            for number, position in list(self._positions.items()):
                if number not in self._processor.owned:
                    del self._positions[number]
                    with contextlib.suppress(KeyError):
                        metrics.LAG.remove(self._topic, str(number))
                    continue
                try:
                    end = await self._bus.end_offset(self._topic, number)
                except BusError as error:
                    log.debug("lag of %s/%d: %s", self._topic, number, error)
                    continue
                metrics.LAG.labels(self._topic, str(number)).set(max(0, end - position.next_offset))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAG_SECONDS):
                    await self._stopping.wait()
