"""One request to one service, as a value: what to send and how to read the answer.

Both clients send the same calls. Every call may be sent again without a second effect: reads,
PUTs, events with their own identity, and POSTs with an Idempotency-Key made here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from common.ids import uuid7
from tollgate.errors import UnexpectedAnswer, problem_error

T = TypeVar("T")
_encoder = msgspec.json.Encoder(decimal_format="string")
RETRY_AFTER_MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request whose answer is a `T`.

    content   the body's bytes; None: no body.
    answers   the type to decode JSON into; `bytes` for the body as it is, None for nothing.
    also      statuses beside 2xx that carry a `T` too, each with the member that tells.
    """

    service: str
    method: str
    path: str
    answers: Any
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[int, str] = field(default_factory=dict)

    def after(self, cursor: str) -> "Call[T]":
        """The call for the part of the list after `cursor`."""
        return replace(self, params={**self.params, "cursor": cursor})

    def read(self, answer: httpx.Response) -> T:
        """The answer's value; raises `ProblemError` or `UnexpectedAnswer`."""
        if not answer.is_success:
            problem = _problem(answer)
            if self.also.get(answer.status_code) not in problem:
                raise problem_error(answer.status_code, problem, retry_after(answer))
        value: Any
        if self.answers is None:
            value = None
        elif self.answers is bytes:
            value = answer.content
        else:
            try:
                value = msgspec.json.decode(answer.content, type=self.answers)
            except msgspec.MsgspecError as error:
                raise UnexpectedAnswer(
                    f"{self.method} {answer.request.url}: {answer.status_code}, {error}"
                ) from None
        return value  # type: ignore[no-any-return]


def get(service: str, path: str, answers: Any, **params: Any) -> Call[Any]:
    """A read. Parameters that are None are left out; `from_` becomes `from`."""
    return Call(service, "GET", path, answers, params=query(params))


def send(
    service: str, method: str, path: str, answers: Any, body: Any = None, *, once: bool = False
) -> Call[Any]:
    """A write. `once`: with an Idempotency-Key, made now, so that tries share it."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if once:
        headers["Idempotency-Key"] = str(uuid7())
    content = None if body is None else _encoder.encode(body)
    return Call(service, method, path, answers, content=content, headers=headers)


def query(params: Mapping[str, Any]) -> dict[str, str]:
    """Query parameters as text: times as RFC 3339 UTC, lists with commas."""
    named = {"from" if name == "from_" else name: value for name, value in params.items()}
    return {name: _text(value) for name, value in named.items() if value is not None}


def segment(value: str) -> str:
    """A value as one part of a path."""
    return quote(value, safe="")


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds of a Retry-After header; only the form in seconds is understood."""
    text = answer.headers.get("retry-after", "").strip()
    if not text.isascii() or not text.isdigit():
        return None
    return min(float(text[:9]), RETRY_AFTER_MAX_SECONDS)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("times must be aware: datetime.now(UTC)")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(answer.content)
    except msgspec.MsgspecError:
        found = None
    return found if isinstance(found, dict) else {"detail": answer.text[:500]}
