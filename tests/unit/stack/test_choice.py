"""Which servers a machine gets: from facts alone."""

from dataclasses import replace

import pytest

from stack.choice import Choice, choose, parse_wanted
from stack.machine import Machine
from stack.supervisor import StackError

DEBIAN_ROOT = Machine(
    root=True,
    debian=True,
    java="/usr/bin/java",
    maven=True,
    kafka_jars=False,
    timescaledb_root=False,
    mock_broker=True,
    postgres_wheel=True,
    docker=False,
    nginx=True,
    load_generator=True,
    pdf_reader=True,
)
PYTHON_ALONE = replace(
    DEBIAN_ROOT, root=False, debian=False, java=None, maven=False, nginx=False, load_generator=False
)


def test_debian_with_root_gets_the_real_servers() -> None:
    chosen = choose(DEBIAN_ROOT, {})
    assert (chosen.kafka, chosen.postgres, chosen.edge) == ("native", "native", "nginx")
    assert chosen.is_native
    assert len(chosen.reasons) == 3


def test_python_alone_gets_the_embedded_servers_and_is_told_why() -> None:
    chosen = choose(PYTHON_ALONE, {})
    assert (chosen.kafka, chosen.postgres, chosen.edge) == ("embedded", "embedded", "asgi")
    assert not chosen.is_native
    assert "no Java" in chosen.reasons[0]
    assert "root rights" in chosen.reasons[1]
    assert "nginx" in chosen.reasons[2]


def test_a_mixture_is_what_the_machine_allows() -> None:
    without_root = replace(DEBIAN_ROOT, root=False, maven=False, kafka_jars=True)
    chosen = choose(without_root, {})
    assert (chosen.kafka, chosen.postgres) == ("native", "embedded")
    assert not chosen.is_native


def test_docker_serves_where_the_real_servers_cannot_run_as_processes() -> None:
    chosen = choose(replace(PYTHON_ALONE, docker=True), {})
    assert (chosen.kafka, chosen.postgres, chosen.edge) == ("compose", "compose", "asgi")


def test_wanted_servers_win_over_the_automatic_choice() -> None:
    chosen = choose(DEBIAN_ROOT, parse_wanted("embedded"))
    assert (chosen.kafka, chosen.postgres, chosen.edge) == ("embedded", "embedded", "asgi")
    mixed = choose(DEBIAN_ROOT, parse_wanted("kafka:native,postgres:embedded"))
    assert (mixed.kafka, mixed.postgres, mixed.edge) == ("native", "embedded", "nginx")


def test_what_cannot_be_had_is_refused_with_the_reason() -> None:
    with pytest.raises(StackError, match="root rights"):
        choose(replace(DEBIAN_ROOT, root=False), parse_wanted("native"))
    with pytest.raises(StackError, match="no Docker engine"):
        choose(DEBIAN_ROOT, parse_wanted("compose"))


def test_a_machine_that_can_run_nothing_is_told_everything_that_is_missing() -> None:
    with pytest.raises(StackError, match=r"no Java.*no Docker.*confluent-kafka"):
        choose(replace(PYTHON_ALONE, mock_broker=False), {})


@pytest.mark.parametrize("text", ["docker", "kafka:fast", "redis:native", "native:kafka"])
def test_a_value_of_stack_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="not understood"):
        parse_wanted(text)


def test_a_choice_survives_its_file() -> None:
    chosen = choose(DEBIAN_ROOT, {})
    assert Choice.from_json(chosen.to_json()) == chosen
