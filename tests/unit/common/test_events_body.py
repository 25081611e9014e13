"""Bodies become elements; what cannot be taken says why, and costs little."""

import gzip
import json
import time
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from common.events import BodyError, decompress, elements, limits

EVENT = b'{"id":"1","source":"app","type":"t","subject":"acme","data":{"n": 1.50}}'


def refused(call: object) -> BodyError:
    with pytest.raises(BodyError) as caught:
        call()  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (EVENT, "application/cloudevents+json", [EVENT]),
        (EVENT, "application/json; charset=UTF-8", [EVENT]),
        (b" " + EVENT + b"\n", None, [EVENT]),
        (b"[" + EVENT + b" , " + EVENT + b"]", "application/cloudevents-batch+json", [EVENT] * 2),
        (b" \n[" + EVENT + b"]", "application/json", [EVENT]),
        (b"[]", "application/json", []),
        (EVENT + b"\n\n" + EVENT + b"\r\n", "application/x-ndjson", [EVENT] * 2),
        (EVENT + b"\n" + EVENT, "application/json", [EVENT] * 2),
        (EVENT + b"\nnot json\n", "application/x-ndjson", [EVENT, b"not json"]),
        (json.dumps(json.loads(EVENT), indent=2).encode(), "application/json", None),
    ],
)
def test_the_elements_of_a_body_are_its_bytes(
    body: bytes, content_type: str | None, expected: list[bytes] | None
) -> None:
    assert elements(body, content_type) == ([body] if expected is None else expected)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "empty_body"),
        (b" \n ", "application/json", 400, "empty_body"),
        (b"hello", "application/json", 400, "invalid_json"),
        (b'"text"', "application/json", 400, "invalid_json"),
        (b'{"id":', "application/json", 400, "invalid_json"),
        (b'{"id": NaN}', "application/json", 400, "invalid_json"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "application/json", 400, "too_deep"),
        (b"[" + EVENT, "application/json", 400, "invalid_json"),
        (b"[" + EVENT + b"] x", "application/json", 400, "invalid_json"),
        (b"[" + EVENT + b",]", "application/json", 400, "invalid_json"),
        (b'["' + EVENT, "application/json", 400, "invalid_json"),
        (b"[" + EVENT + b"}", "application/json", 400, "invalid_json"),
        (b"[" + EVENT + b"]", "application/cloudevents+json", 400, "invalid_json"),
        (EVENT, "application/cloudevents-batch+json", 400, "invalid_json"),
        (EVENT, "application/x-protobuf", 415, "unsupported_media_type"),
        (EVENT, "application/json; charset=latin-1", 415, "unsupported_media_type"),
        (b"\n" * (limits.BODY_EVENTS + 1), "application/x-ndjson", 413, "too_many_events"),
        (b"[" + b"1," * 3_000_000 + b"1]", "application/json", 413, "too_many_events"),
    ],
)
def test_a_body_that_cannot_be_taken_says_why(
    body: bytes, content_type: str, status: int, code: str
) -> None:
    error = refused(lambda: elements(body, content_type))
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"a": NaN}',
        rb'{"a": "\ud800"}',
        rb'{"a": "\u12"}',
        b'{"a": "\x00"}',
        b'{"a": "tab\there, and a comma"}',
        b'{"a" 1}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a": [1, {"b": "]}"}], "c": tru}',
    ],
)
def test_a_bad_element_of_an_array_is_told_apart_from_the_good_ones(bad: bytes) -> None:
    body = b"[" + EVENT + b",\n" + bad + b" , " + EVENT + b"]"
    assert elements(body, "application/json") == [EVENT, bad, EVENT]


def test_the_tolerant_scan_is_only_for_bodies_that_it_can_read_quickly() -> None:
    padding = b'{"a": NaN, "pad": "' + b"x" * limits.TOLERANT_BODY_BYTES + b'"}'
    assert refused(lambda: elements(b"[" + padding + b"]", None)).code == "invalid_json"


def test_the_tolerant_scan_is_linear() -> None:
    started = time.perf_counter()
    for body in (b'["' + b'\\"' * 1_000_000, b"[" + b'"' * 999_999, b"[" * 1_000_000):
        assert refused(lambda body=body: elements(body, None)).status == 400
    assert time.perf_counter() - started < 10


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5))
def test_tolerant_and_strict_scans_agree(values: list[dict[str, str]]) -> None:
    raws = [json.dumps(value).encode() for value in values]
    strict = elements(b"[" + b", ".join(raws) + b"]", None)
    tolerant = elements(b"[" + b", ".join([*raws, b"NaN"]) + b"]", None)
    assert strict == raws
    assert tolerant == [*raws, b"NaN"]


@given(st.binary(max_size=200), st.sampled_from([None, "application/x-ndjson"]))
def test_no_body_gets_any_other_error(body: bytes, content_type: str | None) -> None:
    with suppress(BodyError):
        assert all(type(raw) is bytes for raw in elements(b"[" + body, content_type))


def test_encodings_are_undone() -> None:
    zstd = zstandard.ZstdCompressor(write_content_size=False)
    streamed = zstd.compressobj()
    for encoding, body in [
        (None, EVENT),
        ("identity", EVENT),
        ("gzip", gzip.compress(EVENT)),
        ("x-gzip", gzip.compress(EVENT)),
        ("GZIP", gzip.compress(EVENT[:9]) + gzip.compress(EVENT[9:])),
        ("zstd", zstandard.compress(EVENT)),
        ("zstd", zstandard.compress(EVENT[:9]) + zstandard.compress(EVENT[9:])),
        ("zstd", streamed.compress(EVENT) + streamed.flush()),
    ]:
        assert decompress(body, encoding) == EVENT
    big = bytes(range(256)) * 40_000
    assert decompress(gzip.compress(big), "gzip") == big
    assert decompress(zstandard.compress(big), "zstd") == big


@pytest.mark.parametrize("encoding", ["br", "deflate", "snappy", "gzip, zstd", "nonsense"])
def test_another_encoding_is_refused(encoding: str) -> None:
    error = refused(lambda: decompress(EVENT, encoding))
    assert (error.status, error.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_broken_or_cut_off_stream_is_refused(encoding: str) -> None:
    whole = gzip.compress(EVENT) if encoding == "gzip" else zstandard.compress(EVENT)
    for body in (b"", b"x", EVENT, whole[:12], whole + bytes(8)):
        error = refused(lambda body=body: decompress(body, encoding))
        assert (error.status, error.code) == (400, "invalid_encoding")
    assert refused(lambda: decompress(whole[:-3], encoding)).status in (400, 413)


def zstd_bomb(size: int, *, stated: bool) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=stated)
    stream = compressor.compressobj(size=size if stated else -1)
    return stream.compress(bytes(size)) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(200_000_000), 9)),
        ("gzip", gzip.compress(bytes(200_000_000), 9) + gzip.compress(b"")),
        ("zstd", zstd_bomb(200_000_000, stated=True)),
        ("zstd", zstd_bomb(200_000_000, stated=False)),
        ("identity", bytes(33 * 1024 * 1024)),
    ],
)
def test_a_bomb_is_refused_before_it_goes_off(encoding: str, bomb: bytes) -> None:
    error = refused(lambda: decompress(bomb, encoding))
    assert (error.status, error.code) == (413, "body_too_large")


@given(st.binary(max_size=100), st.sampled_from(["gzip", "zstd"]))
def test_no_compressed_body_gets_any_other_error(body: bytes, encoding: str) -> None:
    prefix = gzip.compress(EVENT) if encoding == "gzip" else zstandard.compress(EVENT)
    for attempt in (body, prefix[:10] + body, prefix + body):
        with suppress(BodyError):
            assert type(decompress(attempt, encoding)) is bytes
