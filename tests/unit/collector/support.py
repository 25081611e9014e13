"""Small things that the collector's tests share."""

import json
from pathlib import Path
from typing import Any

from collector.spool.writer import Change, Spool
from collector.tail.follower import Follower, Step
from collector.tail.mapping import LineMapper, LineMapping

NODE = "edge-1"


def open_spool(directory: Path, *, max_bytes: int = 1 << 30) -> Spool:
    return Spool(directory, NODE, max_bytes=max_bytes)


def stored(spool: Spool) -> list[dict[str, Any]]:
    """Every event in the spool, in order."""
    _, bodies = spool.read_events(0, 1_000_000, 1 << 30)
    return [json.loads(body) for body in bodies]


def line(number: int, **fields: Any) -> bytes:
    """A line of the template's log format; `number` makes it unique."""
    values: dict[str, Any] = {
        "msec": f"{1_790_000_000 + number}.{number % 1000:03d}",
        "request_id": f"{number:032x}",
        "tenant": "acme",
        "status": "200",
        "gate": "allow",
        "bytes": number,
        "request_time": 0.012,
        "method": "GET",
        "uri": f"/items/{number}",
    } | fields
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """The line numbers behind events."""
    return [int(event["data"]["request_id"], 16) for event in events]


class Tailing:
    """A follower with a real spool: what a collector process holds between two crashes."""

    def __init__(self, log: Path, directory: Path, **options: Any) -> None:
        self.now = 0.0
        self.spool = open_spool(directory)
        self.follower = Follower(
            log,
            self.spool.read_positions(str(log.absolute())),
            LineMapper(LineMapping(), NODE),
            clock=lambda: self.now,
            **options,
        )

    def step(self, *, commit: bool = True) -> Step | None:
        """One step; with `commit=False` the process dies before its transaction."""
        step = self.follower.step()
        if step is not None and commit:
            self.spool.submit(step.change).result()
            self.follower.applied(step)
        return step

    def drain(self) -> None:
        """Reads all there is."""
        for _ in range(10_000):
            if self.step() is None:
                return
        raise AssertionError("the follower never comes to an end")

    def close(self) -> None:
        self.follower.close()
        self.spool.close()


def accept(spool: Spool, *events: bytes) -> None:
    """Puts events into the spool and waits for the disk."""
    spool.submit(Change(events=events)).result()
