"""The bus on librdkafka's mock broker, which the embedded stack uses: memory only, topics made by
the first question about them."""

from collections.abc import AsyncIterator, Iterator

import pytest
from confluent_kafka import Producer

from common.bus.admin import touch_topics
from common.bus.kafka import KafkaBus
from common.contracts.topics import ALL_TOPICS, EVENTS
from tests.support.bus_contract import BusContract


@pytest.fixture(scope="module")
def mock_broker() -> Iterator[str]:
    """The address of a broker inside this process."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x"})
    broker = producer.list_topics(timeout=10).brokers[1]
    yield f"{broker.host}:{broker.port}"
    del producer


@pytest.fixture
async def bus(mock_broker: str, topic_prefix: str) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(mock_broker, prefix=topic_prefix, append_seconds=10)
    await bus.start()
    yield bus
    await bus.stop()


class TestMockBroker(BusContract):
    @pytest.fixture
    async def topic(self, mock_broker: str, topic_prefix: str) -> str:
        await touch_topics(mock_broker, prefix=topic_prefix, topics=[EVENTS])
        return EVENTS.name

    # Three promises are real brokers' alone: the mock makes every topic that it is asked about,
    # leaves the producer's times, and knows no offsets by time (it answers the end).
    test_an_unknown_topic_is_refused = None  # type: ignore[assignment]
    test_offsets_by_the_time_of_their_record = None  # type: ignore[assignment]
    test_the_broker_stamps_records_with_times_that_do_not_go_back = None  # type: ignore[assignment]


async def test_all_topics_exist_once_they_are_touched(mock_broker: str, topic_prefix: str) -> None:
    await touch_topics(mock_broker, prefix=topic_prefix)
    bus = KafkaBus(mock_broker, prefix=topic_prefix)
    await bus.start()
    try:
        assert {await bus.partitions(topic.name) for topic in ALL_TOPICS} == {4}
    finally:
        await bus.stop()
