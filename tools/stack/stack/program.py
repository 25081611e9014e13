"""What a supervised process is: its command, environment and folder, written as one JSON file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the stack.

    `is_ready` answers at once whether the process serves; the stack polls it after a start.
    `ports` are those it binds on loopback. `user` is the account to run as when the stack is root.
    A program that cannot go on after a death (`restart=False`) stays down until the next `up`.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    user: str | None = None
    restart: bool = True
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    start_seconds: int = 60
    priority: int = 500

    def specification(self) -> str:
        """What `stack.launch` reads; a change of it means that the process must be restarted."""
        return json.dumps(
            {
                "name": self.name,
                "command": list(self.command),
                "folder": str(self.folder),
                "environment": dict(sorted(self.environment.items())),
                "user": self.user,
                "ports": list(self.ports),
            },
            indent=1,
        )
