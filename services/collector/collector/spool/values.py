"""What the spool keeps, as values. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The spool's one row. The centre has every sequence up to `acked_seq`, and the ranges `ahead`
    beyond it (see `collector.lanes`)."""

    node: str
    epoch: str
    next_seq: int
    acked_seq: int
    sealed_through: str
    ahead: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """How far one generation of a tailed file has been read, in bytes.

    `head` is the file's first bytes, as far as they have been read: it tells this file from another
    one that was given the same inode, and finds it again under another inode when it was copied.
    A `finished` generation was rotated away and read to its end: it may vanish.
    """

    path: str
    generation: int
    device: int
    inode: int
    head: bytes
    offset: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Parked:
    """Something that could not become usage: where it came from, why, and its bytes."""

    origin: str
    place: str
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked item as it is kept; `at` is RFC 3339 UTC."""

    id: int
    at: str
    origin: str
    place: str
    reason: str
    body: bytes
