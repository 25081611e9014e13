"""Two checkouts run side by side by two bases."""

import socket

import pytest

from stack.ports import Ports, free_port, is_free
from stack.processes import PROCESSES


def test_every_port_moves_with_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_BASE_PORT", "9100")
    ports = Ports.from_environment()
    assert (ports.kafka, ports.postgres, ports.edge) == (9120, 9132, 9180)
    assert ports.service(1) == 9101


def test_the_base_is_8100_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLGATE_BASE_PORT", raising=False)
    assert Ports.from_environment() == Ports(8100)


def test_no_two_processes_share_a_port() -> None:
    ports = Ports(8100)
    servers = [ports.kafka, ports.kafka_controller, ports.postgres, ports.edge, ports.upstream]
    taken = servers + [ports.service(process.offset) for process in PROCESSES]
    assert len(set(taken)) == len(taken)
    assert all(ports.base <= port < ports.base + 100 for port in taken)


@pytest.mark.parametrize("text", ["http", "80", "65500", "-1", "8100.5"])
def test_an_unusable_base_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TOLLGATE_BASE_PORT", text)
    with pytest.raises(ValueError, match="TOLLGATE_BASE_PORT"):
        Ports.from_environment()


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
    assert is_free(free_port())
