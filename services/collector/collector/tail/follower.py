"""Reads the generations of one log in blocks of whole lines, from committed positions.

The follower proposes, the spool disposes: `step()` gives what the next lines are and where the
reading would then stand; only after both were committed in one transaction is `applied()` called,
and until then the same step is proposed again. So a line is read again after a crash exactly when
its event did not become durable.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from collector.spool.values import Parked, Position
from collector.spool.writer import Change
from collector.tail.generations import HEAD_BYTES, Found, grown_head, nothing_yet, recognise
from collector.tail.mapping import LINE_BYTES_MAX, PARKED_BYTES_MAX, LineMapper, Mapped

log = structlog.get_logger(__name__)

BLOCK_BYTES = 64 * 1024
RESCAN_SECONDS = 10.0
# What logrotate and nginx's own tools append: .1, .2, -20261123, -20261123T0850; no .gz.
_ROTATED_SUFFIX = r"([.-][0-9][0-9T:._-]*)?"


@dataclass(frozen=True, slots=True)
class Step:
    """What to commit next: the change, and what its lines became (for the counters)."""

    change: Change
    mapped: Mapped


class Follower:
    """Follows the log at `path`; `positions` are the committed ones, oldest generation first.

    A generation that was rotated away is closed after `patience_seconds` without growth (nginx
    writes to it until it is told to reopen); `clock` counts seconds and never goes back. With
    `skip_what_is_there` the very first start begins at the end of the log.
    """

    def __init__(
        self,
        path: Path,
        positions: Sequence[Position],
        mapper: LineMapper,
        *,
        clock: Callable[[], float],
        patience_seconds: float = 60.0,
        block_bytes: int = BLOCK_BYTES,
        skip_what_is_there: bool = False,
    ) -> None:
        self.path = path.absolute()
        self.lost_generations = 0
        self._mapper = mapper
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._block_bytes = block_bytes
        self._skip_what_is_there = skip_what_is_there
        self._name = re.compile(re.escape(self.path.name) + _ROTATED_SUFFIX)
        self._files: dict[int, int] = {}
        self._quiet_since: dict[int, float] = {}
        self._rescan_at = 0.0
        self._positions: dict[int, Position] = {}
        self._half_lines: set[int] = set()
        self._waiting = False
        self.reset(positions)

    @property
    def positions(self) -> list[Position]:
        """The committed positions, oldest generation first."""
        return [self._positions[number] for number in sorted(self._positions)]

    @property
    def half_line(self) -> bool:
        """A line has begun and not ended yet, as of the last step."""
        return bool(self._half_lines) or self._waiting

    def reset(self, positions: Sequence[Position]) -> None:
        """Starts again from what is committed (after a commit whose outcome is unknown)."""
        self.close()
        self._positions = {position.generation: position for position in positions}
        self._rescan_at = self._clock()

    def close(self) -> None:
        """Closes every file; the positions stay."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self._quiet_since.clear()
        self._half_lines.clear()

    def applied(self, step: Step) -> None:
        """The step was committed: reading goes on behind it."""
        for position in step.change.positions:
            self._positions[position.generation] = position

    def step(self) -> Step | None:
        """The next lines or the next news about the files; None when all is read to the end."""
        current = self._inode_at_path()
        if self._must_rescan(current):
            news = self._rescan()
            if news:
                return Step(Change(positions=news), Mapped())
        for generation in sorted(self._files):
            step = self._read(generation, current)
            if step is not None:
                return step
            if self._rescan_at <= self._clock():  # it was truncated
                return self.step()
        return None

    def _must_rescan(self, current: tuple[int, int] | None) -> bool:
        if self._rescan_at <= self._clock():
            return True
        return current is not None and not any(
            (self._positions[number].device, self._positions[number].inode) == current
            for number in self._files
        )

    def _rescan(self) -> list[Position]:
        """Looks at all files of the log; the positions that changed by it."""
        self._rescan_at = self._clock() + RESCAN_SECONDS
        try:
            found = self._find()
            result = recognise(
                str(self.path),
                self.positions,
                found,
                self._read_head,
                skip_what_is_there=self._skip_what_is_there,
            )
        except FileNotFoundError:  # renamed while we looked: look again
            self._rescan_at = self._clock()
            return []
        news = [position for position, _ in result.fresh]
        if not found and not self._positions:
            news.append(nothing_yet(str(self.path)))
        for position, _ in result.kept:
            if position != self._positions[position.generation]:
                news.append(position)
        for position in result.lost:
            if position.generation not in self._files:
                self.lost_generations += 1
                log.error("tail_generation_lost", path=str(self.path), offset=position.offset)
                news.append(replace(position, finished=True))
        if news:
            self._rescan_at = self._clock()
            return news
        sizes = {(file.device, file.inode): file.size for file in found}
        for position, name in result.kept:
            grown = sizes[position.device, position.inode] > position.offset
            if position.generation not in self._files and (grown or not position.finished):
                self._open(position, name)
        inodes = {(position.device, position.inode) for position, _ in result.kept}
        self._waiting = any(
            file.current and (file.device, file.inode) not in inodes for file in found
        )
        return []

    def _open(self, position: Position, name: str) -> None:
        descriptor = os.open(self.path.with_name(name), os.O_RDONLY)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (position.device, position.inode):
            os.close(descriptor)
            self._rescan_at = self._clock()
            return
        self._files[position.generation] = descriptor

    def _read(self, generation: int, current: tuple[int, int] | None) -> Step | None:
        position = self._positions[generation]
        descriptor = self._files[generation]
        status = os.fstat(descriptor)
        is_current = (status.st_dev, status.st_ino) == current
        if (position.device, position.inode) != (status.st_dev, status.st_ino):
            self._forget(generation)  # the generation moved to another file
            self._rescan_at = self._clock()
            return None
        if status.st_size == position.offset:
            return self._at_end(position, is_current=is_current, current=current)
        if status.st_size < position.offset or (
            os.pread(descriptor, len(position.head), 0) != position.head
        ):
            log.warning("tail_truncated", path=str(self.path), offset=position.offset)
            self._forget(generation)
            self._rescan_at = self._clock()
            return None
        data = os.pread(descriptor, self._block_bytes, position.offset)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == self._block_bytes:
            data = os.pread(descriptor, LINE_BYTES_MAX + 1, position.offset)
            end = data.find(b"\n") + 1
            if end == 0 and len(data) > LINE_BYTES_MAX:
                end = len(data)
        if end == 0:
            return self._at_end(position, is_current=is_current, current=current, rest=data)
        self._half_lines.discard(generation)
        self._quiet_since.pop(generation, None)
        place = f"{self.path.name}#{generation}@{position.offset}"
        mapped = self._mapper.map_lines(data[:end].removesuffix(b"\n").split(b"\n"), place)
        moved = self._moved(position, descriptor, position.offset + end)
        return Step(
            Change(events=mapped.events, made_here=True, positions=[moved], parked=mapped.bad),
            mapped,
        )

    def _at_end(
        self,
        position: Position,
        *,
        is_current: bool,
        current: tuple[int, int] | None,
        rest: bytes = b"",
    ) -> Step | None:
        """Nothing but perhaps a half-written line is left; closes what was rotated away."""
        generation = position.generation
        if rest:
            self._half_lines.add(generation)
        else:
            self._half_lines.discard(generation)
        if is_current or current is None:
            self._quiet_since.pop(generation, None)
            return None
        now = self._clock()
        if now - self._quiet_since.setdefault(generation, now) < self._patience_seconds:
            return None
        moved = self._moved(position, self._files[generation], position.offset + len(rest))
        self._forget(generation)
        if position.finished and not rest:
            return None
        place = f"{self.path.name}#{generation}@{position.offset}"
        parked = [Parked("nginx", place, "half_line", rest[:PARKED_BYTES_MAX])] if rest else []
        return Step(
            Change(positions=[replace(moved, finished=True)], parked=parked),
            Mapped(bad=parked),
        )

    def _moved(self, position: Position, descriptor: int, offset: int) -> Position:
        first = os.pread(descriptor, HEAD_BYTES, 0) if len(position.head) < HEAD_BYTES else b""
        return replace(position, offset=offset, head=grown_head(position.head, offset, first))

    def _forget(self, generation: int) -> None:
        os.close(self._files.pop(generation))
        self._quiet_since.pop(generation, None)
        self._half_lines.discard(generation)

    def _inode_at_path(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _find(self) -> list[Found]:
        found = []
        try:
            names = [name for name in os.listdir(self.path.parent) if self._name.fullmatch(name)]
        except FileNotFoundError:
            return []
        for name in names:
            status = os.stat(self.path.with_name(name))
            found.append(
                Found(
                    name=name,
                    device=status.st_dev,
                    inode=status.st_ino,
                    size=status.st_size,
                    mtime_ns=status.st_mtime_ns,
                    current=name == self.path.name,
                )
            )
        return found

    def _read_head(self, name: str, length: int) -> bytes:
        descriptor = os.open(self.path.with_name(name), os.O_RDONLY)
        try:
            return os.pread(descriptor, length, 0)
        finally:
            os.close(descriptor)
