"""From the bytes of a request to its elements, each as untouched bytes.

Compressed bodies are inflated as a stream under a cap; one event, an array and
newline-delimited events are told apart by the media type and the first character.
"""

import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from common.events import limits
from common.events.inflate import Broken, TooLarge, gunzip, unzstd

Shape = Literal["one", "array", "lines", "any"]

MEDIA_TYPES: Final[dict[str, Shape]] = {
    "application/cloudevents+json": "one",
    "application/cloudevents-batch+json": "array",
    "application/json": "any",
    "application/x-ndjson": "lines",
    "application/ndjson": "lines",
    "application/jsonl": "lines",
    "": "any",
}

_array: Final = msgspec.json.Decoder(list[msgspec.Raw])
_any: Final = msgspec.json.Decoder(msgspec.Raw)
# Strings as wholes, and the characters that make up the structure. A quote that opens no
# complete string is matched alone. Possessive, so the scan is linear.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)


class WholeElements(list[bytes]):
    """Elements of which each is known to be one whole JSON value, so that they may be read
    together."""


class BodyError(Exception):
    """The body as a whole cannot be taken, and none of it was.

    `status`: 400, 413 or 415. `code`: stable. `str()`: a sentence for the caller.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


def too_large(limit: int = limits.BODY_BYTES) -> BodyError:
    """The answer to a body that is, or would become, longer than `limit` bytes."""
    return BodyError(413, "body_too_large", f"bodies may have {limit} bytes decoded; send less")


def decompress(body: bytes, encoding: str | None, limit: int = limits.BODY_BYTES) -> bytes:
    """The body behind a `Content-Encoding` of identity, gzip or zstd; at most `limit` bytes.

    A size that the compressed form itself states is checked before anything is inflated.
    Raises `BodyError` 413 (too large), 415 (another encoding), 400 (broken or cut off).
    """
    match (encoding or "identity").strip().lower():
        case "identity":
            decoded = body
        case "gzip" | "x-gzip":
            decoded = _inflated(gunzip, "gzip", body, limit)
        case "zstd":
            decoded = _inflated(unzstd, "zstd", body, limit)
        case _:
            raise BodyError(
                415, "unsupported_encoding", "Content-Encoding may be identity, gzip or zstd"
            )
    if len(decoded) > limit:
        raise too_large(limit)
    return decoded


def _inflated(inflate: Callable[[bytes, int], bytes], name: str, body: bytes, limit: int) -> bytes:
    try:
        return inflate(body, limit)
    except TooLarge:
        raise too_large(limit) from None
    except Broken as error:
        raise BodyError(400, "invalid_encoding", f"the body is not {name}: {error}") from None


def elements(body: bytes, content_type: str | None) -> list[bytes]:
    """The elements of a decoded body, in order, untouched but for surrounding white space.

    A line of newline-delimited events is an element whatever it holds; so is an element of an
    array, as far as the array's structure can be followed. Raises `BodyError` 400, 413, 415.
    """
    shape = _shape(content_type)
    start = body.lstrip()[:1] if body[:1] in b" \t\r\n" else body[:1]
    if shape == "lines":
        return _lines(body)
    if start == b"[" and shape != "one":
        return _elements_of_array(body)
    if start == b"{" and shape != "array":
        return _one_or_lines(body, sniff=shape == "any")
    if not start:
        raise BodyError(400, "empty_body", "the body is empty")
    expected = {"one": "one JSON object", "array": "a JSON array"}.get(
        shape, "one event, an array of events, or one event a line"
    )
    raise BodyError(400, "invalid_json", f"the body must be {expected}")


def _shape(content_type: str | None) -> Shape:
    media_type, _, parameters = (content_type or "").partition(";")
    shape = MEDIA_TYPES.get(media_type.strip().lower())
    if shape is None:
        known = ", ".join(sorted(filter(None, MEDIA_TYPES)))
        raise BodyError(415, "unsupported_media_type", f"Content-Type may be one of {known}")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in ("utf-8", "utf8", "us-ascii"):
            raise BodyError(415, "unsupported_media_type", "the charset must be utf-8")
    return shape


def _one_or_lines(body: bytes, *, sniff: bool) -> list[bytes]:
    try:
        return WholeElements([bytes(_any.decode(body))])
    except RecursionError:
        raise BodyError(400, "too_deep", "the event is nested too deeply to be read") from None
    except ValueError as error:
        first = body.strip().split(b"\n", 1)
        if sniff and len(first) == 2 and _is_json(first[0]):
            return _lines(body)
        raise BodyError(400, "invalid_json", f"the body is not JSON: {error}") from None


def _is_json(line: bytes) -> bool:
    try:
        _any.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(body: bytes) -> list[bytes]:
    if body.count(b"\n") > limits.BODY_EVENTS:
        raise _too_many()
    return [line for part in body.split(b"\n") if (line := part.strip())]


def _elements_of_array(body: bytes) -> list[bytes]:
    # Commas bound the number of elements from above; an array of a million zeros is refused
    # before it becomes a million objects.
    if len(body) > limits.DENSE_BODY_BYTES and body.count(b",") > len(body) // 4:
        raise _too_many()
    try:
        found = _array.decode(body)
    except (ValueError, RecursionError) as error:
        if len(body) > limits.TOLERANT_BODY_BYTES:
            raise _broken_array(str(error)) from None
        return _split_array(body)
    if len(found) > limits.BODY_EVENTS:
        raise _too_many()
    return WholeElements(map(bytes, found))


def _split_array(body: bytes) -> list[bytes]:
    """The elements of an array that is not JSON as a whole, by its brackets and commas alone."""
    found: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(body):
        match token.group():
            case b"[" | b"{":
                depth += 1
                if depth == 1:
                    start = token.end()
                continue
            case b"," if depth == 1:
                pass
            case b"]" | b"}":
                depth -= 1
                if depth > 0:
                    continue
            case b'"':
                raise _broken_array("a string has no end")
            case _:
                continue
        element = body[start : token.start()].strip()
        if not element:
            raise _broken_array("an element is empty")
        found.append(element)
        if len(found) > limits.BODY_EVENTS:
            raise _too_many()
        start = token.end()
        if depth == 0:
            break
    if depth != 0 or body[start:].strip() or body[start - 1 : start] != b"]":
        raise _broken_array("its brackets do not match")
    return found


def _broken_array(detail: str) -> BodyError:
    return BodyError(400, "invalid_json", f"the body is not a JSON array: {detail}")


def _too_many() -> BodyError:
    return BodyError(
        413, "too_many_events", f"a body may hold {limits.BODY_EVENTS} events; send fewer"
    )
