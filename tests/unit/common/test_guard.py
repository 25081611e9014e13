"""Bodies that parsers disagree about get a coded answer before any route sees them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from common.auth import scope
from common.errors import ApiError
from common.guard import MAX_BODY_BYTES, MAX_DEPTH, parse_strictly
from common.service import create_app
from common.settings import ServiceSettings

BAD: list[tuple[bytes, int, str]] = [
    (b"", 422, "invalid_request"),
    (b"{", 400, "invalid_json"),
    (b"nul", 400, "invalid_json"),
    (b"{'a': 1}", 400, "invalid_json"),
    (b"\xef\xbb\xbf{}", 400, "invalid_json"),
    (b'{"a": NaN}', 400, "invalid_number"),
    (b'{"a": -Infinity}', 400, "invalid_number"),
    (b'{"a": 1e400}', 400, "invalid_number"),
    (b'{"a": 1' + b"0" * 400 + b"}", 400, "invalid_number"),
    (b'{"a": -1' + b"0" * 5000 + b"}", 400, "invalid_number"),
    (b'{"a": "\\ud800"}', 400, "invalid_text"),
    (b'{"\\udfff": 1}', 400, "invalid_text"),
    (b'{"a": "\\u0000"}', 400, "invalid_text"),
    (b'{"a": "\xff"}', 400, "invalid_text"),
    (b'{"a": 1, "a": 2}', 400, "duplicate_key"),
    (b'{"b": [{"a": 1, "a": 1}]}', 400, "duplicate_key"),
    (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), 400, "too_deep"),
    (b"[" * 500_000, 400, "too_deep"),
    (b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}', 413, "body_too_large"),
]


def make_app(**settings: Any) -> FastAPI:
    router = APIRouter()

    @router.put("/v1/things", dependencies=[scope("meters:write")])
    async def put_thing(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @router.post("/v1/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @router.get("/v1/fault")
    async def fault() -> None:
        raise RuntimeError("a secret of the house")

    @router.get("/v1/away")
    async def away() -> None:
        raise ConnectionRefusedError

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    return create_app(
        ServiceSettings(**settings),
        title="Things",
        description="",
        lifespan=lifespan,
        routers=[router],
        unguarded=frozenset({"/v1/raw"}),
    )


def client(**settings: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(make_app(**settings), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def put(body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    async with client() as http:
        headers = {"content-type": "application/json"} | (headers or {})
        return await http.put("/v1/things", content=body, headers=headers)


async def test_plain_json_passes_unchanged() -> None:
    value = {"a": [1, -0.0, 1.5, "ß", None, True], "b": {"c": "[[[{{{"}}
    response = await put(json.dumps(value).encode())
    assert (response.status_code, response.json()) == (200, value)


@pytest.mark.parametrize(("body", "status", "code"), BAD, ids=range(len(BAD)))
async def test_a_bad_body_gets_its_code(body: bytes, status: int, code: str) -> None:
    response = await put(body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def test_depth_counts_brackets_outside_of_strings() -> None:
    text = '"' + "[" * 200 + '\\"[' + '"'
    nested = "[" * (MAX_DEPTH - 1) + text + "]" * (MAX_DEPTH - 1)
    assert (await put(b'{"a":' + nested.encode() + b"}")).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br", "no-such"])
async def test_encoded_bodies_are_not_taken_here(encoding: str) -> None:
    response = await put(b"{}", {"content-encoding": encoding})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_encoding")


async def test_a_large_body_is_refused_by_its_length_alone() -> None:
    response = await put(b"{}", {"content-length": str(33 * 2**20)})
    assert response.status_code == 413


async def test_a_large_body_without_a_length_is_refused_where_it_grows_too_large() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    async with client() as http:
        response = await http.put("/v1/things", content=chunks())
    assert response.status_code == 413


async def test_a_route_that_reads_its_own_body_is_exempt() -> None:
    async with client() as http:
        response = await http.post("/v1/raw", content=b"\xff" * (2 * MAX_BODY_BYTES))
    assert response.json() == {"bytes": 2 * MAX_BODY_BYTES}


@pytest.mark.parametrize("path", ["/v1/things%00", "/v1/things?a=%00"])
async def test_nul_in_the_address(path: str) -> None:
    async with client() as http:
        response = await http.get(path)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_text")


async def test_errors_are_problems_with_codes() -> None:
    async with client() as http:
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "not_found"),
            ("DELETE", "/v1/things", 405, "method_not_allowed"),
            ("GET", "/v1/fault", 500, "internal"),
            ("GET", "/v1/away", 503, "unavailable"),
        ):
            response = await http.request(method, path)
            assert (response.status_code, response.json()["code"]) == (status, code)
            assert "secret" not in response.text
            assert ("Retry-After" in response.headers) == (status == 503)
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/readyz")).status_code == 200
        assert "python_info" in (await http.get("/metrics")).text


async def test_a_body_that_is_no_object_names_the_place() -> None:
    response = await put(b"[1]")
    assert response.status_code == 422
    assert response.json()["errors"][0]["path"] == "body"


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused_with_a_code(body: bytes) -> None:
    refusal: ApiError | None = None
    try:
        parse_strictly(body)
    except ApiError as error:
        refusal = error
    assert refusal is None or refusal.code.status == 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab"\\[{', max_size=3), inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_every_plain_value_passes(value: Any, ascii_only: bool) -> None:
    assert parse_strictly(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
