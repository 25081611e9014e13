"""Calls of loaded libraries into the C library, led through Python: LD_PRELOAD, nothing compiled.

The dynamic linker has written the address of each imported function into tables of the importing
object, as its relocations told it. `interposed` writes other addresses there for a while. So the
product's own code is watched, with its own SQLite and down to the system calls, and nothing needs
to be built. It works on Linux with glibc on the 64-bit machines named below.
"""

import ctypes
import mmap
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_LINKED_BY_NAME = {"x86_64": {1, 6, 7}, "aarch64": {257, 1025, 1026}}
"""Relocations that hold the plain address of a symbol: absolute, GLOB_DAT, JUMP_SLOT."""

_PT_DYNAMIC = 2
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
_WORD = ctypes.sizeof(ctypes.c_void_p)


class _Header(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("physical", ctypes.c_uint64),
        ("file_size", ctypes.c_uint64),
        ("memory_size", ctypes.c_uint64),
        ("align", ctypes.c_uint64),
    ]


class _Object(ctypes.Structure):
    _fields_ = [
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.POINTER(_Header)),
        ("header_count", ctypes.c_uint16),
    ]


class _Entry(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_int64), ("value", ctypes.c_uint64)]


class _Relocation(ctypes.Structure):
    _fields_ = [
        ("place", ctypes.c_uint64),
        ("kind", ctypes.c_uint32),
        ("symbol", ctypes.c_uint32),
        ("addend", ctypes.c_int64),
    ]


class _Symbol(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_uint32),
        ("info", ctypes.c_uint8),
        ("other", ctypes.c_uint8),
        ("section", ctypes.c_uint16),
        ("value", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
    ]


def unsupported() -> str | None:
    """Why this machine cannot do it; None when it can."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return "system calls are recorded on Linux with glibc only"
    if platform.machine() not in _LINKED_BY_NAME:
        return f"system calls are not recorded on {platform.machine()}"
    return None


@contextmanager
def interposed(functions: Mapping[str, tuple[Any, Callable[..., int]]]) -> Iterator[None]:
    """While it lasts, imported functions of these names lead to ours, in every loaded object but
    the C library itself.

    `functions`: by name, a ctypes prototype and what is called instead.
    """
    callbacks = {name: prototype(call) for name, (prototype, call) in functions.items()}
    addresses = {
        name.encode(): ctypes.cast(callback, ctypes.c_void_p).value or 0
        for name, callback in callbacks.items()
    }
    before: list[tuple[int, int]] = []
    try:
        for slot, name in _slots(addresses):
            before.append((slot, ctypes.c_uint64.from_address(slot).value))
            _store(slot, addresses[name])
        yield
    finally:
        for slot, address in before:
            _store(slot, address)


def _slots(wanted: Mapping[bytes, int]) -> list[tuple[int, bytes]]:
    """Every place that holds the address of a wanted function, with its name."""
    found: list[tuple[int, bytes]] = []

    def visit(pointer: Any, _size: int, _data: None) -> int:
        loaded = pointer.contents
        name = loaded.name or b""
        if b"/libc.so" not in name and b"/ld-linux" not in name and b"vdso" not in name:
            found.extend(_slots_of(loaded, wanted))
        return 0

    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(_Object), ctypes.c_size_t, ctypes.c_void_p
    )
    ctypes.CDLL(None).dl_iterate_phdr(prototype(visit), None)
    return found


def _slots_of(loaded: _Object, wanted: Mapping[bytes, int]) -> Iterator[tuple[int, bytes]]:
    headers = [loaded.headers[number] for number in range(loaded.header_count)]
    for header in headers:
        if header.type != _PT_DYNAMIC:
            continue
        count = header.memory_size // ctypes.sizeof(_Entry)
        entries = (_Entry * count).from_address(loaded.base + header.address)
        dynamic = {entry.tag: entry.value for entry in entries}
        for table, size in ((_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ)):
            if table not in dynamic or size not in dynamic:
                continue
            count = dynamic[size] // ctypes.sizeof(_Relocation)
            for one in (_Relocation * count).from_address(dynamic[table]):
                if one.kind not in _LINKED_BY_NAME[platform.machine()] or not one.symbol:
                    continue
                at = dynamic[_DT_SYMTAB] + one.symbol * ctypes.sizeof(_Symbol)
                symbol = _Symbol.from_address(at)
                name = ctypes.string_at(dynamic[_DT_STRTAB] + symbol.name)
                if name in wanted and symbol.section == 0:
                    yield loaded.base + one.place, name


def _store(slot: int, address: int) -> None:
    """Writes a pointer where the linker may have made the page read-only."""
    page = slot - slot % mmap.PAGESIZE
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(page, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        raise OSError("the linker's tables cannot be changed here")
    ctypes.c_uint64.from_address(slot).value = address
