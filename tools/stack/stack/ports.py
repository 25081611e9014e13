"""Every port of a stack, counted from one base, so that two checkouts run side by side."""

import os
import socket
from dataclasses import dataclass

DEFAULT_BASE = 8100


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on loopback. `base` moves all of them; 100 ports from `base` belong to one stack."""

    base: int = DEFAULT_BASE

    @classmethod
    def from_environment(cls) -> "Ports":
        """TOLLGATE_BASE_PORT, or 8100. ValueError names the variable when it is no usable port."""
        text = os.environ.get("TOLLGATE_BASE_PORT", "").strip() or str(DEFAULT_BASE)
        if not text.isdigit() or not 1024 <= int(text) <= 65000:
            raise ValueError(f"TOLLGATE_BASE_PORT must be a port from 1024 to 65000, not {text!r}")
        return cls(int(text))

    @property
    def kafka(self) -> int:
        return self.base + 20

    @property
    def kafka_controller(self) -> int:
        return self.base + 21

    @property
    def postgres(self) -> int:
        return self.base + 32

    @property
    def edge(self) -> int:
        """nginx, or the embedded stack's ASGI upstream in its place."""
        return self.base + 80

    @property
    def upstream(self) -> int:
        return self.base + 81

    def service(self, offset: int) -> int:
        return self.base + offset


def free_base(width: int = 100) -> Ports:
    """A base whose server ports are free now; for stacks that tests start beside a developer's."""
    for base in range(20000 + (os.getpid() * 100) % 30000, 60000, width):
        ports = Ports(base)
        if all(is_free(port) for port in (ports.kafka, ports.kafka_controller, ports.postgres)):
            return ports
    raise RuntimeError("no free range of ports between 20000 and 60000")


def is_free(port: int) -> bool:
    """Whether a server could bind 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free when asked; the caller binds it soon."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
