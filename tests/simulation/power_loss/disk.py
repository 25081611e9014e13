"""What may be on the disk after a power cut. Pure: a log of operations in, disk contents out.

The rules are those of POSIX, no file system's habits:

- what a file held at its last sync is there; of each later write and truncation, any subset may
  have reached the disk, a write in pieces of a sector;
- a file may have grown to its new length without the bytes that made it grow: they read as zeros;
- a name that appeared, vanished or moved since the last sync of its folder may have done so or not;
- what was synced is never lost.

A process that was killed, on a machine that lives on, leaves the state in which everything since
the last sync is there.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.simulation.power_loss.recorder import (
    ROOT,
    Create,
    Mark,
    Operation,
    Rename,
    Sync,
    Truncate,
    Unlink,
    Write,
)

SECTOR_BYTES = 512
SUBSETS_OF_MAX = 4
"""Up to so many unsynced operations every subset of them is tried; beyond that, samples."""

Names = Mapping[str, bytes | None]
"""The content of each file by its path; None is a folder."""


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)

    def content(self, kept: Sequence[Write | Truncate], *, grown: bool = False) -> bytes:
        """The content when of the pending operations only `kept` reached the disk."""
        data = bytearray(self.durable)
        for one in kept:
            _apply(data, one)
        if grown:
            whole = bytearray(self.durable)
            for one in self.pending:
                _apply(whole, one)
            data.extend(bytes(max(0, len(whole) - len(data))))
        return bytes(data)


@dataclass
class _Folder:
    durable: dict[str, int] = field(default_factory=dict)
    pending: list[Create | Unlink | Rename] = field(default_factory=list)


class Disk:
    """A disk that is written operation by operation, and what a power cut could leave of it."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._folders: dict[int, _Folder] = {ROOT: _Folder()}

    def do(self, operation: Operation) -> None:
        match operation:
            case Create(directory, _, node, is_directory):
                if is_directory:
                    self._folders[node] = _Folder()
                else:
                    self._files[node] = _File()
                self._folders[directory].pending.append(operation)
            case Unlink(directory):
                self._folders[directory].pending.append(operation)
            case Rename(directory, _, to_directory):
                if directory != to_directory:
                    raise NotImplementedError("renames between folders are not modelled")
                self._folders[directory].pending.append(operation)
            case Write(node) | Truncate(node):
                self._files[node].pending.append(operation)
            case Sync(node) if node in self._files:
                file = self._files[node]
                file.durable = bytearray(file.content(file.pending))
                file.pending.clear()
            case Sync(node):
                folder = self._folders[node]
                _rename_all(folder.durable, folder.pending)
                folder.pending.clear()
            case Mark():
                pass

    def everything(self) -> Names:
        """What a killed process leaves: all of it."""
        return self._state(
            {node: file.content(file.pending) for node, file in self._files.items()},
            {node: folder.pending for node, folder in self._folders.items()},
        )

    def numbers(self) -> dict[str, int]:
        """The number of each file and folder by its path, as long as the power stays."""
        found = {"": ROOT}
        folders = [(ROOT, "")]
        while folders:
            number, path = folders.pop()
            names = dict(self._folders[number].durable)
            _rename_all(names, self._folders[number].pending)
            for name, node in names.items():
                found[f"{path}{name}"] = node
                if node in self._folders:
                    folders.append((node, f"{path}{name}/"))
        return found

    def after_power_cut(self, chance: Random, samples: int) -> Iterator[Names]:
        """States that a power cut at this moment may leave.

        Always: nothing and everything of what was not synced, with each subset of the names. Then
        every subset of the unsynced operations if they are few, else of the last few together with
        all before them. Then `samples` of subsets in pieces of a sector, half of them with files
        that have grown without their bytes.
        """
        waiting = [
            (node, one) for node, file in sorted(self._files.items()) for one in file.pending
        ]
        renamings = list(self._renamings(chance))
        for kept in ((), tuple(waiting)):
            for names in renamings:
                yield self._state(self._contents(kept), names)
        first, last = waiting[:-SUBSETS_OF_MAX], waiting[-SUBSETS_OF_MAX:]
        for number in range(1, len(last) + 1):
            for some in itertools.combinations(last, number):
                yield self._state(self._contents([*first, *some]), chance.choice(renamings))
        pieces = [(node, piece) for node, one in waiting for piece in _pieces(one)]
        for number in range(samples if pieces else 0):
            share = chance.random()
            kept_pieces = [piece for piece in pieces if chance.random() < share]
            contents = self._contents(kept_pieces, grown=number % 2 == 1)
            yield self._state(contents, chance.choice(renamings))

    def _contents(
        self, kept: Sequence[tuple[int, Write | Truncate]], *, grown: bool = False
    ) -> dict[int, bytes]:
        chosen: dict[int, list[Write | Truncate]] = {}
        for node, one in kept:
            chosen.setdefault(node, []).append(one)
        return {
            node: file.content(chosen.get(node, ()), grown=grown)
            for node, file in self._files.items()
        }

    def _renamings(
        self, chance: Random
    ) -> Iterator[Mapping[int, Sequence[Create | Unlink | Rename]]]:
        waiting = [
            (node, one) for node, folder in sorted(self._folders.items()) for one in folder.pending
        ]
        numbers = range(len(waiting))
        subsets: list[tuple[int, ...]] = [(), tuple(numbers)] if waiting else [()]
        if len(waiting) <= SUBSETS_OF_MAX:
            for size in range(1, len(waiting)):
                subsets.extend(itertools.combinations(numbers, size))
        else:
            for _ in range(2**SUBSETS_OF_MAX):
                subsets.append(tuple(number for number in numbers if chance.random() < 0.5))
        for subset in subsets:
            chosen: dict[int, list[Create | Unlink | Rename]] = {}
            for number in subset:
                node, one = waiting[number]
                chosen.setdefault(node, []).append(one)
            yield chosen

    def _state(
        self,
        contents: Mapping[int, bytes],
        renamings: Mapping[int, Sequence[Create | Unlink | Rename]],
    ) -> Names:
        found: dict[str, bytes | None] = {}
        folders = [(ROOT, "")]
        while folders:
            number, path = folders.pop()
            names = dict(self._folders[number].durable)
            _rename_all(names, renamings.get(number, ()))
            for name, node in names.items():
                if node in self._folders:
                    found[f"{path}{name}"] = None
                    folders.append((node, f"{path}{name}/"))
                else:
                    found[f"{path}{name}"] = contents[node]
        return found


def _apply(data: bytearray, operation: Write | Truncate) -> None:
    match operation:
        case Write(_, offset, written):
            if len(data) < offset:
                data.extend(bytes(offset - len(data)))
            data[offset : offset + len(written)] = written
        case Truncate(_, size):
            del data[size:]
            data.extend(bytes(size - len(data)))


def _rename_all(names: dict[str, int], operations: Sequence[Create | Unlink | Rename]) -> None:
    for operation in operations:
        match operation:
            case Create(_, name, node):
                names[name] = node
            case Unlink(_, name):
                names.pop(name, None)
            case Rename(_, name, _, to_name) if name in names:
                names[to_name] = names.pop(name)


def _pieces(operation: Write | Truncate) -> Iterator[Write | Truncate]:
    """A write as the sectors that it touches."""
    if isinstance(operation, Truncate):
        yield operation
        return
    at, end = operation.offset, operation.offset + len(operation.data)
    while at < end:
        following = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        begin = at - operation.offset
        yield Write(operation.node, at, operation.data[begin : following - operation.offset])
        at = following
