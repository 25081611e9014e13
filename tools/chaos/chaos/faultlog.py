"""Every fault with its time and what it hit, as JSON lines, written as it happens."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.recovery import Struck
from chaos.schedule import Planned

AROUND_SECONDS = 20.0


class FaultLog:
    """The log of a run at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.missed: list[tuple[Planned, str]] = []
        self.problems: list[str] = []
        self.struck: dict[int, Struck] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", buffering=1, encoding="utf-8")

    def began(self, planned: Planned) -> None:
        at = self._write("began", planned)
        self.struck[planned.n] = Struck(planned.n, planned.kind, planned.target, at)

    def healed(self, planned: Planned) -> None:
        at = self._write("healed", planned)
        before = self.struck[planned.n]
        self.struck[planned.n] = Struck(
            before.n, before.kind, before.target, before.began, healed=at
        )

    def did_not_strike(self, planned: Planned, reason: str) -> None:
        """What it was to hit was not there; it does not count as a fault."""
        self._write("missed", planned, reason=reason)
        self.struck.pop(planned.n, None)
        self.missed.append((planned, reason))

    def problem(self, planned: Planned, what: str) -> None:
        """Something that should have come back after the fault did not, in all its time."""
        self._write("problem", planned, what=what)
        self.problems.append(f"{planned}: {what}")

    def note(self, what: str, **fields: Any) -> None:
        """A moment of the run itself."""
        self._line({"event": what, **fields})

    def around(self, at: float, seconds: float = AROUND_SECONDS) -> list[str]:
        """The lines whose time is near a Unix time."""
        low, high = (_instant(at - seconds), _instant(at + seconds))
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if low <= json.loads(line)["at"] <= high]

    def close(self) -> None:
        self._file.close()

    def _write(self, event: str, planned: Planned, **more: Any) -> float:
        return self._line(
            {
                "event": event,
                "n": planned.n,
                "kind": planned.kind,
                "target": planned.target,
                "lasts": planned.lasts,
                **planned.detail,
                **more,
            }
        )

    def _line(self, fields: dict[str, Any]) -> float:
        now = time.time()
        self._file.write(json.dumps({"at": _instant(now), **fields}) + "\n")
        return now


def _instant(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")
