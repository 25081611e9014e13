"""Writes an access log as nginx does, for a collector to follow; now and then it is rotated."""

import asyncio
import random
import time
from pathlib import Path

from chaos.catalog import STRANGER, TENANTS
from chaos.load.maker import seconds_text
from chaos.truth import Bad, Made, Truth

LINES_A_TURN = (0, 8)
TURN_SECONDS = 0.25
ROTATE_SECONDS = 40.0
BAD = 0.01
UNBILLED = 0.1
TORN = 0.05


class AccessLog:
    """The log of one node. Every line written is usage, unless it says that it is not."""

    def __init__(self, seed: int, node: str, path: Path, truth: Truth) -> None:
        self._random = random.Random(f"{seed}/{node}/log")
        self._node, self._path, self._truth = node, path, truth
        self._count = 0
        self._rotations = 0
        self._writing = asyncio.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    async def run(self, stop: asyncio.Event) -> None:
        rotate_at = time.monotonic() + ROTATE_SECONDS
        while not stop.is_set():
            for _ in range(self._random.randint(*LINES_A_TURN)):
                await self._write_line()
            if time.monotonic() > rotate_at:
                self._rotate()
                rotate_at = time.monotonic() + ROTATE_SECONDS
            await asyncio.sleep(TURN_SECONDS)

    async def probe(self, tenant: str, number: int) -> None:
        """A line of known size, as a probe."""
        async with self._writing:
            now_ms = time.time_ns() // 1_000_000
            self._file.write(self._usage(tenant, now_ms, size=number, millis=0, page=0))

    async def _write_line(self) -> None:
        async with self._writing:
            await self._write_any_line()

    async def _write_any_line(self) -> None:
        pick = self._random
        now_ms = time.time_ns() // 1_000_000
        dice = pick.random()
        if dice < BAD:
            self._count += 1
            marker = f"bad/{self._node}/{self._count}"
            self._truth.bad.append(Bad(marker, self._node, acked=True))
            line = b'{"msec":"never","request_id":"%b","tenant":"aurora","status":200}\n'
            self._file.write(line % marker.encode())
            return
        if dice < BAD + UNBILLED:
            line = self._line("aurora", now_ms, 0, 0, 0, status=pick.choice((401, 429, 503)))
        else:
            line = self._usage(
                pick.choice((*TENANTS, STRANGER)),
                now_ms,
                size=pick.randrange(100_000),
                millis=pick.randrange(9_999),
                page=pick.randrange(50),
            )
        if pick.random() < TORN:
            middle = pick.randrange(1, len(line))
            self._file.write(line[:middle])
            await asyncio.sleep(0.08)
            line = line[middle:]
        self._file.write(line)

    def _usage(self, tenant: str, now_ms: int, *, size: int, millis: int, page: int) -> bytes:
        now = now_ms / 1000
        self._truth.events.append(
            Made(
                tenant=tenant,
                source=f"{self._node}/log",
                id=f"{self._node}-{self._count + 1}",
                at_ms=now_ms,
                size=size,
                millis=millis,
                page=page,
                path=f"{self._node}/log",
                sent_at=now,
                acked_at=now,
            )
        )
        return self._line(tenant, now_ms, size, millis, page, status=200)

    def _line(
        self, tenant: str, now_ms: int, size: int, millis: int, page: int, *, status: int
    ) -> bytes:
        self._count += 1
        return (
            f'{{"msec":{now_ms // 1000}.{now_ms % 1000:03d},'
            f'"request_id":"{self._node}-{self._count}","tenant":"{tenant}","gate":"allow",'
            f'"status":{status},"bytes":{size},"request_time":{seconds_text(millis)},'
            f'"method":"GET","host":"{self._node}/log","uri":"/page/{page}"}}\n'
        ).encode()

    def _rotate(self) -> None:
        """Rename and begin anew, as logrotate does; older ones move up."""
        self._rotations += 1
        for number in range(self._rotations - 1, 0, -1):
            self._path.with_name(f"{self._path.name}.{number}").rename(
                self._path.with_name(f"{self._path.name}.{number + 1}")
            )
        self._path.rename(self._path.with_name(f"{self._path.name}.1"))
        self._file.close()
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()
