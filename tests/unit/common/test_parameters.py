"""Query parameters that a route does not know are refused, those that it documents are taken."""

from hashlib import sha256
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, Query

from common.auth import scope
from common.settings import ServiceSettings
from tests.support.routes import app_of

FILTERS = {"parameters": [{"name": "filter.{dimension}", "in": "query", "schema": {}}]}
Since = Annotated[str | None, Query(alias="from")]


async def paged(page: int = 0) -> int:
    return page


def client(**settings: Any) -> httpx.AsyncClient:
    router = APIRouter(prefix="/v1")

    @router.get("/things", dependencies=[scope("usage:read"), Depends(paged)])
    async def things(limit: int = 10, start: Since = None) -> int:
        return limit

    @router.delete("/things/{name}", dependencies=[scope("meters:write")])
    async def delete(name: str) -> str:
        return name

    @router.get("/filtered", dependencies=[scope("usage:read")], openapi_extra=FILTERS)
    async def filtered() -> str:
        return "ok"

    app = app_of(router, ServiceSettings(**settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/things",
        "/v1/things?limit=3&from=x&page=2",
        "/v1/filtered?filter.region=eu&filter.size=",
        "/healthz?probe=1",
        "/metrics?name[]=x",
    ],
)
async def test_what_is_known_is_taken(path: str) -> None:
    async with client() as http:
        assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        ("/v1/things?limt=1", "limt", "from, limit, page"),
        ("/v1/things?limit=1&start=x", "start", "from, limit, page"),
        ("/v1/things?Limit=1", "Limit", "from, limit, page"),
        ("/v1/things?l%69mt", "limt", "from, limit, page"),
        ("/v1/filtered?filters.region=eu", "filters.region", "filter.{dimension}"),
    ],
)
async def test_what_is_not_known_is_refused(path: str, name: str, known: str) -> None:
    async with client() as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    [error] = answer.json()["errors"]
    assert error["path"] == f"query.{name}"
    assert sorted(error["message"].partition("known: ")[2].split(", ")) == known.split(", ")


async def test_nothing_is_done_with_an_unknown_parameter() -> None:
    async with client() as http:
        answer = await http.delete("/v1/things/a?dry_run=true")
    assert answer.json()["errors"][0]["message"] == "is not a parameter here; known: none"


async def test_strangers_are_not_told_what_is_known() -> None:
    async with client(auth_tokens={sha256(b"x").hexdigest(): ["*"]}) as http:
        assert (await http.get("/v1/things?limt=1")).status_code == 401
