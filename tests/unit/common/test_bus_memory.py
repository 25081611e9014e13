"""The bus in memory keeps the contract."""

import pytest

from common.bus.memory import MemoryBus
from common.bus.types import OffsetLost
from tests.support.bus_contract import PARTITIONS, BusContract, read_all, read_some, records


class TestMemoryBus(BusContract):
    @pytest.fixture
    def topic(self) -> str:
        return "words"

    @pytest.fixture
    def bus(self, topic: str) -> MemoryBus:
        return MemoryBus(partitions=PARTITIONS, topics={topic})

    async def test_what_retention_took_is_lost(self, bus: MemoryBus, topic: str) -> None:
        await bus.append(topic, {0: records("a", "b", "c")})
        reader = await bus.reader(topic, 0, 0)
        bus.drop_before(topic, 0, 2)

        with pytest.raises(OffsetLost):
            await read_some(reader, 1)
        assert await bus.beginning_offset(topic, 0) == 2
        await reader.seek(2)
        assert [m.value for m in await read_some(reader, 1)] == [b"c"]
        assert [m.offset for m in await read_all(bus, topic, 0, 1, start=2)] == [2]
