"""gzip and zstd under a cap: neither a bomb nor a lie in a header costs more than the cap."""

import zlib
from typing import Final

import zstandard

from common.events import limits

_MEMBERS_MAX: Final = 1024
"""Concatenated gzip members or zstd frames; starting one costs more than its bytes."""
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_STEP: Final = 64 * 1024
_ZSTD_STEP: Final = 256
"""Four bytes of zstd may stand for 128 KiB, so a step can pass the cap by 8 MiB at most."""


class TooLarge(Exception):
    """It states, or turned out to have, more bytes than the cap."""


class Broken(Exception):
    """It is not what it says it is, or it ends too early."""


def gunzip(body: bytes, limit: int) -> bytes:
    """The content of one or more gzip members. Raises `TooLarge`, `Broken`."""
    # The trailer states the size of the last member modulo 2^32. In a stream that was cut off it
    # is noise, and the answer may then be `TooLarge` where `Broken` would be the truth.
    if body[:2] == _GZIP_MAGIC and len(body) >= 18 and int.from_bytes(body[-4:], "little") > limit:
        raise TooLarge
    parts: list[bytes] = []
    total = at = 0
    chunk = b""
    try:
        for _ in range(_MEMBERS_MAX):
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                if not chunk:
                    chunk = body[at : at + _GZIP_STEP]
                    at += len(chunk)
                part = member.decompress(chunk, limit + 1 - total)
                chunk = member.unused_data if member.eof else member.unconsumed_tail
                total += len(part)
                if total > limit:
                    raise TooLarge
                parts.append(part)
                if not (part or chunk or member.eof or at < len(body)):
                    raise Broken("it ends too early")
            if not chunk and at >= len(body):
                return b"".join(parts)
    except zlib.error as error:
        raise Broken(str(error)) from None
    raise Broken(f"it has more than {_MEMBERS_MAX} members")


def unzstd(body: bytes, limit: int) -> bytes:
    """The content of one or more zstd frames. Raises `TooLarge`, `Broken`."""
    parts: list[bytes] = []
    total = at = 0
    try:
        if zstandard.frame_content_size(body) > limit:
            raise TooLarge
        for _ in range(_MEMBERS_MAX):
            # A window beyond the cap would only serve content beyond the cap.
            frame = zstandard.ZstdDecompressor(max_window_size=limits.BODY_BYTES).decompressobj()
            while not frame.eof:
                chunk = body[at : at + _ZSTD_STEP]
                if not chunk:
                    raise Broken("it ends too early")
                part = frame.decompress(chunk)
                at += len(chunk) - len(frame.unused_data)
                total += len(part)
                if total > limit:
                    raise TooLarge
                parts.append(part)
            if at >= len(body):
                return b"".join(parts)
    except zstandard.ZstdError as error:
        raise Broken(str(error)) from None
    raise Broken(f"it has more than {_MEMBERS_MAX} frames")
