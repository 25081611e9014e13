"""Everything that this process does to the files below one folder, in order.

`Recorder` notes each system call that changes a file or a directory, each that makes one durable,
and the marks that the test sets between them ("this was acknowledged"). Real syncs are left out:
what they mean is decided when the log is replayed (`disk`), and not waiting for them saves time.

Stores into mapped memory are not seen. SQLite maps only its index of the WAL for writing, which it
makes anew after a power cut; its content is arbitrary in every replay.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.power_loss.interpose import interposed

ROOT = 0
"""The number of the watched folder itself. Files and folders are numbered as they are made."""


@dataclass(frozen=True, slots=True)
class Create:
    """A name appears. `node` is a new file or folder."""

    directory: int
    name: str
    node: int
    is_directory: bool


@dataclass(frozen=True, slots=True)
class Unlink:
    directory: int
    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    directory: int
    name: str
    to_directory: int
    to_name: str


@dataclass(frozen=True, slots=True)
class Write:
    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync or fdatasync has returned: of a file its content, of a folder its names."""

    node: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What the test says about this moment."""

    what: Any


Operation = Create | Unlink | Rename | Write | Truncate | Sync | Mark

_int, _size, _offset, _text = ctypes.c_int, ctypes.c_size_t, ctypes.c_int64, ctypes.c_char_p
_address, _long = ctypes.c_void_p, ctypes.c_ssize_t
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "open": (_int, _text, _int, _int),
    "open64": (_int, _text, _int, _int),
    "close": (_int, _int),
    "unlink": (_int, _text),
    "rename": (_int, _text, _text),
    "mkdir": (_int, _text, _int),
    "write": (_long, _int, _address, _size),
    "pwrite64": (_long, _int, _address, _size, _offset),
    "ftruncate64": (_int, _int, _offset),
    "fsync": (_int, _int),
    "fdatasync": (_int, _int),
    # What would change a file in a way that is not recorded.
    "unlinkat": (_int, _int, _text, _int),
    "renameat": (_int, _int, _text, _int, _text),
    "rmdir": (_int, _text),
    "link": (_int, _text, _text),
    "symlink": (_int, _text, _text),
    "truncate64": (_int, _text, _offset),
    "pwritev": (_long, _int, _address, _int, _offset),
    "writev": (_long, _int, _address, _int),
    "fallocate64": (_int, _int, _int, _offset, _offset),
    "posix_fallocate64": (_int, _int, _offset, _offset),
}


class Recorder:
    """The log of what happens below `root`, from when `recording()` begins.

    `log` and `names` (path below the root, as parts, to its number) go on from an earlier log.
    """

    def __init__(
        self,
        root: Path,
        log: list[Operation] | None = None,
        names: dict[str, int] | None = None,
    ) -> None:
        self.log: list[Operation] = [] if log is None else log
        self._root = str(root.resolve())
        self._names = {"": ROOT} if names is None else dict(names)
        self._next = 1 + max([ROOT, *[op.node for op in self.log if isinstance(op, Create)]])
        self._open: dict[int, tuple[int, str]] = {}
        self._faults: list[BaseException] = []
        self._lock = threading.RLock()
        libc = ctypes.CDLL(None, use_errno=True)
        self._real: dict[str, Any] = {}
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(libc, name)
            function.restype, function.argtypes = result, arguments
            self._real[name] = function

    def mark(self, what: Any) -> None:
        """Notes that `what` is true from now on."""
        with self._lock:
            self.log.append(Mark(what))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records until it ends; raises what went wrong in the recording itself."""
        functions = {
            name: (
                ctypes.CFUNCTYPE(result, *arguments, use_errno=True),
                self._watched(name),
            )
            for name, (result, *arguments) in _PROTOTYPES.items()
        }
        with interposed(functions):
            yield
        if self._faults:
            raise self._faults[0]

    def _watched(self, name: str) -> Callable[..., int]:
        real, note = self._real[name], getattr(self, f"_on_{name}", self._on_unrecorded)

        def call(*arguments: Any) -> int:
            with self._lock:
                if name in ("fsync", "fdatasync") and arguments[0] in self._open:
                    outcome = 0
                else:
                    outcome = real(*arguments)
                errno = ctypes.get_errno()
                try:
                    note(outcome, *arguments)
                except Exception as error:
                    self._faults.append(error)
                ctypes.set_errno(errno)
                return int(outcome)

        return call

    def _below(self, path: bytes) -> str | None:
        absolute = os.path.abspath(os.fsdecode(path))
        if absolute == self._root:
            return ""
        prefix = self._root + "/"
        return absolute[len(prefix) :] if absolute.startswith(prefix) else None

    def _place(self, path: bytes) -> tuple[str, int, str] | None:
        """(path below the root, number of its folder, its own name)."""
        below = self._below(path)
        if not below:
            return None
        folder, _, name = below.rpartition("/")
        return below, self._names[folder], name

    def _made(self, path: bytes, *, is_directory: bool) -> None:
        place = self._place(path)
        if place is not None and place[0] not in self._names:
            below, folder, name = place
            self._names[below] = self._next
            self.log.append(Create(folder, name, self._next, is_directory))
            self._next += 1

    def _on_open64(self, descriptor: int, path: bytes, flags: int, _mode: int) -> None:
        below = self._below(path)
        if descriptor < 0 or below is None:
            return
        if flags & os.O_CREAT:
            self._made(path, is_directory=False)
        if below not in self._names:
            raise AssertionError(f"{below} was there before the recording began")
        self._open[descriptor] = self._names[below], below
        if flags & os.O_TRUNC:
            self.log.append(Truncate(self._names[below], 0))
        if flags & os.O_APPEND:
            raise AssertionError(f"{below} is appended to, which is not recorded")

    _on_open = _on_open64

    def _on_close(self, _outcome: int, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _on_unlink(self, outcome: int, path: bytes) -> None:
        place = self._place(path)
        if outcome == 0 and place is not None:
            below, folder, name = place
            del self._names[below]
            self.log.append(Unlink(folder, name))

    def _on_rename(self, outcome: int, old: bytes, new: bytes) -> None:
        source, target = self._place(old), self._place(new)
        if outcome == 0 and source is not None and target is not None:
            self._names[target[0]] = self._names.pop(source[0])
            self.log.append(Rename(source[1], source[2], target[1], target[2]))

    def _on_mkdir(self, outcome: int, path: bytes, _mode: int) -> None:
        if outcome == 0:
            self._made(path, is_directory=True)

    def _on_pwrite64(
        self, outcome: int, descriptor: int, buffer: int, _size: int, offset: int
    ) -> None:
        if outcome > 0 and descriptor in self._open:
            data = ctypes.string_at(buffer, outcome)
            self.log.append(Write(self._open[descriptor][0], offset, data))

    def _on_write(self, outcome: int, descriptor: int, buffer: int, _size: int) -> None:
        if outcome > 0 and descriptor in self._open:
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            data = ctypes.string_at(buffer, outcome)
            self.log.append(Write(self._open[descriptor][0], end - outcome, data))

    def _on_ftruncate64(self, outcome: int, descriptor: int, size: int) -> None:
        if outcome == 0 and descriptor in self._open:
            self.log.append(Truncate(self._open[descriptor][0], size))

    def _on_fsync(self, _outcome: int, descriptor: int) -> None:
        if descriptor in self._open:
            self.log.append(Sync(self._open[descriptor][0]))

    _on_fdatasync = _on_fsync

    def _on_unrecorded(self, _outcome: int, *arguments: Any) -> None:
        touched = [self._below(one) for one in arguments if isinstance(one, bytes)]
        if any(touched) or (isinstance(arguments[0], int) and arguments[0] in self._open):
            raise AssertionError(f"a call that is not recorded changes {touched or arguments[0]}")
