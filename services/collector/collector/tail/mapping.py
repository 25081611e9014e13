"""From one line of nginx's JSON access log to one usage event. Pure.

A line is a JSON object (`log_format ... escape=json`). Values keep their literal form: a
`request_time` of 0.012 leaves as 0.012, it never becomes a float.

Which lines are usage: those with a tenant, that the gate did not deny, and whose status is not one
of `unbilled_statuses`. The rest is skipped and counted by reason. A line that cannot be read is
bad: it is kept with the reason.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from collector.spool.values import Parked

LINE_BYTES_MAX = 256 * 1024
PARKED_BYTES_MAX = 8 * 1024
SUBJECT_CHARS_MAX = 256

_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_MSEC = re.compile(rb"([0-9]{1,11})\.([0-9]{3})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class LineMapping:
    """Which fields of a line become what.

    `data` maps names inside the event's data to fields of the line. `msec` is nginx's `$msec`
    (Unix seconds with three decimals): the moment at which the request ended.
    """

    event_type: str = "http.request"
    tenant: str = "tenant"
    msec: str = "msec"
    status: str = "status"
    gate: str = "gate"
    data: Mapping[str, str] = field(
        default_factory=lambda: {
            "bytes": "bytes",
            "request_time": "request_time",
            "method": "method",
            "host": "host",
            "uri": "uri",
            "request_id": "request_id",
        }
    )
    unbilled_statuses: frozenset[int] = frozenset({401, 402, 403, 429, 503})


@dataclass(slots=True)
class Mapped:
    """What a block of lines became.

    `events` are bodies without their id, as `spool.writer.Change` takes them.
    """

    events: list[bytes] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    bad: list[Parked] = field(default_factory=list)


class BadLineError(Exception):
    """A line that cannot become usage; the text is the reason that is kept with it."""


class LineMapper:
    """Turns lines into events of one node, as a `LineMapping` says."""

    def __init__(self, mapping: LineMapping, node: str) -> None:
        self._mapping = mapping
        names = {mapping.tenant, mapping.msec, mapping.status, mapping.gate}
        names |= set(mapping.data.values())
        attributes = {name: f"field_{index}" for index, name in enumerate(sorted(names))}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct(
                "Line",
                [(attr, msgspec.Raw, msgspec.Raw(b"")) for attr in attributes.values()],
                rename={attr: name for name, attr in attributes.items()},
            )
        )
        self._tenant = attributes[mapping.tenant]
        self._msec = attributes[mapping.msec]
        self._status = attributes[mapping.status]
        self._gate = attributes[mapping.gate]
        self._data = [
            (b'"%b":' % name.encode(), attributes[source]) for name, source in mapping.data.items()
        ]
        self._head = b'"source":%b,"specversion":"1.0","type":%b,"subject":' % (
            msgspec.json.encode(f"{node}/nginx"),
            msgspec.json.encode(mapping.event_type),
        )
        self._unbilled = {str(status).encode() for status in mapping.unbilled_statuses}

    def map_lines(self, lines: Iterable[bytes], place: str) -> Mapped:
        """Maps whole lines, without their newline. `place` says in `bad` where they stood."""
        mapped = Mapped()
        for line in lines:
            if not line.isascii():
                line = line.decode("utf-8", "replace").encode()
            if line[:1] == b"\0":  # a hole that a crash of the machine left in the file
                line = line.lstrip(b"\0")
            if not line or line.isspace():
                mapped.skipped["empty"] += 1
                continue
            try:
                reason = self._map_line(line, mapped.events)
            except BadLineError as error:
                mapped.bad.append(Parked("nginx", place, str(error), line[:PARKED_BYTES_MAX]))
            else:
                if reason is not None:
                    mapped.skipped[reason] += 1
        return mapped

    def _map_line(self, line: bytes, events: list[bytes]) -> str | None:
        """Adds the event of one line; or the reason why the line is no usage."""
        if b"\\u0000" in line:
            line = line.replace(b"\\u0000", b"\\ufffd")
        if len(line) > LINE_BYTES_MAX:
            raise BadLineError("line_too_long")
        fields = self._decode(line)
        subject = _subject(bytes(getattr(fields, self._tenant)))
        if subject == b'""':
            return "no_tenant"
        if bytes(getattr(fields, self._gate)) == b'"deny"':
            return "denied"
        status = _status(bytes(getattr(fields, self._status)))
        if status in self._unbilled:
            return f"status_{status.decode()}"
        data = b"".join(
            b",%b%b" % (name, raw)
            for name, attr in self._data
            if (raw := bytes(getattr(fields, attr)))
        )
        events.append(
            b'%b%b,"time":"%b","data":{"status":%b%b}}'
            % (self._head, subject, _time(bytes(getattr(fields, self._msec))), status, data)
        )
        return None

    def _decode(self, line: bytes) -> Any:
        try:
            return self._decoder.decode(line)
        except (ValueError, RecursionError):
            repaired = _SURROGATES.sub(_without_lone_surrogate, line)
        try:
            return self._decoder.decode(repaired)
        except msgspec.ValidationError:
            raise BadLineError("not_an_object") from None
        except (ValueError, RecursionError) as error:
            raise BadLineError(f"invalid_json: {error}") from None


def _without_lone_surrogate(match: re.Match[bytes]) -> bytes:
    return match.group() if len(match.group()) == 12 else b"\\ufffd"


@lru_cache(maxsize=4096)
def _subject(raw: bytes) -> bytes:
    """The tenant as a JSON string; `""` when there is none."""
    if raw in (b"", b"null", b'"-"'):
        return b'""'
    try:
        text = msgspec.json.decode(raw, type=str)
    except msgspec.MsgspecError:
        raise BadLineError("tenant_is_not_a_string") from None
    if len(text) > SUBJECT_CHARS_MAX or _CONTROL.search(text):
        raise BadLineError("invalid_tenant")
    return raw


@lru_cache(maxsize=1024)
def _status(raw: bytes) -> bytes:
    """The status as a JSON number; nginx writes 000 and 009 for requests without one."""
    digits = raw.strip(b'"')
    if not digits.isdigit() or len(digits) > 3:
        raise BadLineError("invalid_status")
    return b"%d" % int(digits)


def _time(raw: bytes) -> bytes:
    """RFC 3339 UTC with milliseconds, exact."""
    match = _MSEC.fullmatch(raw.strip(b'"'))
    if match is None:
        raise BadLineError("invalid_msec")
    return b"%b.%bZ" % (_second(int(match[1])), match[2])


@lru_cache(maxsize=64)
def _second(seconds: int) -> bytes:
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}".encode()
