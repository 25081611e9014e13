"""Which files are which generation of a rotated log. Pure but for reading a file's first bytes.

A *generation* is the content of one log file between two rotations. Its name and its inode may
change (rename, copy, copytruncate); its first bytes, its *head*, do not, because a log is appended
to. A head contains a time in milliseconds and a request id, so two generations never share one.

`recognise` looks at the files beside the log and says for each of them what it is:

- a known generation under its inode: go on at its offset (`kept`);
- a known generation under another inode, because it was copied and the original truncated or
  deleted: go on at its offset, there (`kept`, with the new inode);
- a copy of a generation whose original is still there: nothing to read;
- anything else is new content, to be read from its beginning (`fresh`);
- a known, unfinished generation that is nowhere any more is `lost`: its unread end is gone.

On the very first start only the log itself is read: older siblings are remembered as read. When
there is no file at all, that is remembered too (`nothing_yet`), so that whatever comes is new.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from collector.spool.values import Position

HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Found:
    """A file beside the log. `current` marks the one that bears the log's own name."""

    name: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    current: bool = False


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the files are. Every position in `kept` and `fresh` comes with its file's name."""

    kept: list[tuple[Position, str]]
    fresh: list[tuple[Position, str]]
    lost: list[Position]


ReadHead = Callable[[str, int], bytes]


def recognise(
    path: str,
    known: Sequence[Position],
    found: Sequence[Found],
    read_head: ReadHead,
    *,
    skip_what_is_there: bool = False,
) -> Recognised:
    """Matches `found` files with `known` generations of the log at `path`.

    `read_head(name, length)` gives up to `length` first bytes of a file. `known` are in order of
    their generation numbers; new ones are numbered on, by the time of the last write. With
    `skip_what_is_there` the first start begins at the end of the log itself, too.
    """
    files = sorted(found, key=lambda file: (file.current, file.mtime_ns, file.name))
    heads = {file.name: read_head(file.name, HEAD_BYTES) for file in files}
    free = {file.name: file for file in files}
    kept: dict[int, tuple[Position, str]] = {}

    # The newest first: a truncated file's inode belongs to the generation that fills it now.
    for position in reversed(known):
        for file in free.values():
            if (file.device, file.inode) == (position.device, position.inode) and _continues(
                position, file, heads[file.name]
            ):
                kept[position.generation] = (position, file.name)
                del free[file.name]
                break

    for position in reversed(known):
        copy = _copy_of(position, free.values(), heads)
        if copy is None:
            continue
        if position.generation not in kept or copy.current:
            moved = replace(position, device=copy.device, inode=copy.inode)
            kept[position.generation] = (moved, copy.name)
        del free[copy.name]

    fresh: list[tuple[Position, str]] = []
    number = max((position.generation for position in known), default=0)
    for file in files:
        if file.name not in free or _may_be_a_copy_in_the_making(file, heads[file.name], known):
            continue
        if not file.current and file.size == 0:
            continue
        number += 1
        history = not known and (skip_what_is_there or not file.current)
        position = Position(
            path=path,
            generation=number,
            device=file.device,
            inode=file.inode,
            head=heads[file.name] if history else b"",
            offset=file.size if history else 0,
            finished=history,
        )
        fresh.append((position, file.name))

    lost = [p for p in known if p.generation not in kept and not p.finished and p.offset > 0]
    return Recognised([kept[number] for number in sorted(kept)], fresh, lost)


def nothing_yet(path: str) -> Position:
    """The mark of a first start that found no file: it is read, and no file can be taken for it."""
    return Position(path, 1, device=0, inode=0, head=b"", offset=0, finished=True)


def grown_head(head: bytes, offset: int, first_bytes: bytes) -> bytes:
    """The head to remember once `offset` bytes of a file with these first bytes are read."""
    return head if len(head) >= HEAD_BYTES else first_bytes[: min(HEAD_BYTES, offset)]


def _continues(position: Position, file: Found, head: bytes) -> bool:
    return file.size >= position.offset and head.startswith(position.head)


def _copy_of(position: Position, files: Iterable[Found], heads: dict[str, bytes]) -> Found | None:
    """The free file with this generation's content, the log's own name first."""
    candidates = [
        file for file in files if position.head and _continues(position, file, heads[file.name])
    ]
    return max(candidates, key=lambda file: (file.current, file.size), default=None)


def _may_be_a_copy_in_the_making(file: Found, head: bytes, known: Sequence[Position]) -> bool:
    """The file begins as a known generation does, but is still shorter: look again later."""
    return file.size > 0 and any(
        head.startswith(position.head[: len(head)]) for position in known if position.head
    )
