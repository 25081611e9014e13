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
    """A base whose ports are all free now; for stacks that tests start beside a developer's.

    It stays below 32768, where the system begins to take ports for outgoing connections.
    """
    first, last = 12_000, 32_000
    begin = (os.getpid() * width) % (last - first)
    for step in range(0, last - first, width):
        ports = Ports(first + (begin + step) % (last - first))
        if all(is_free(ports.base + offset) for offset in range(width)):
            return ports
    raise RuntimeError(f"no free range of {width} ports between {first} and {last}")


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
