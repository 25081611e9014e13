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


def test_a_door_is_a_listener_that_tells_clients_another_port() -> None:
    settings = properties(Ports(9100), Path("/data"), {9182: 40001, 9183: 40002})
    assert settings["listeners"].endswith("DOOR0://127.0.0.1:9182,DOOR1://127.0.0.1:9183")
    told = settings["advertised.listeners"]
    assert told.endswith("DOOR0://127.0.0.1:40001,DOOR1://127.0.0.1:40002")
    assert "DOOR1:PLAINTEXT" in settings["listener.security.protocol.map"]
    assert settings["listener.name.door0.num.network.threads"] == "1"
