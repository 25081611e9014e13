"""The broker's settings that the product relies on."""

from pathlib import Path

from stack.kafka import properties
from stack.ports import Ports


def test_the_broker_is_for_loopback_alone_and_makes_no_topic_by_accident() -> None:
    settings = properties(Ports(9100), Path("/data"))
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:9120,CONTROLLER://127.0.0.1:9121"
    assert settings["auto.create.topics.enable"] == "false"


def test_time_is_the_brokers_and_internal_topics_fit_one_node() -> None:
    settings = properties(Ports(9100), Path("/data"))
    assert settings["log.message.timestamp.type"] == "LogAppendTime"
    replication = [value for name, value in settings.items() if "replication.factor" in name]
    assert replication == ["1"] * 3
