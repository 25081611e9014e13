"""What callers are told of a body that a route's schema refuses."""

from datetime import date
from typing import Annotated, Any, Literal

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import AfterValidator, BaseModel, Field

from tests.support.routes import app_of, post

router = APIRouter()


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


class Cat(BaseModel):
    type: Literal["cat"]
    legs: Annotated[int, AfterValidator(_even)] = 4
    born: date | Literal["today"] = "today"
    names: list[str] = []
    cat: str = ""


class Dog(BaseModel):
    type: Literal["dog"]


@router.post("/v1/pets")
async def post_pet(body: Annotated[Cat | Dog, Field(discriminator="type")]) -> None:
    """One of two kinds."""


@router.post("/v1/anything")
async def post_anything(body: dict[str, Any]) -> None:
    """Any object."""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return app_of(router)


@pytest.mark.parametrize(
    ("path", "body", "where", "said"),
    [
        ("pets", {"type": "cat", "legs": 3}, "body.legs", "must be even"),
        (
            "pets",
            {"type": "cat", "names": ["Tom", 5]},
            "body.names.1",
            "Input should be a valid string",
        ),
        ("pets", {"type": "cat", "cat": {}}, "body.cat", "Input should be a valid string"),
        ("pets", {"type": "cow"}, "body.type", "must be one of: cat, dog"),
        ("pets", {}, "body.type", "is missing"),
        ("pets", ["cat"], "body", "must be an object"),
        ("anything", ["x"], "body", "must be an object"),
        ("anything", None, "body", "Field required"),
    ],
)
async def test_each_field_has_a_path_and_a_sentence(
    app: FastAPI, path: str, body: Any, where: str, said: str
) -> None:
    answer = await post(app, f"/v1/{path}", **({} if body is None else {"json": body}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"] == [{"path": where, "message": said}]
    assert answer.json()["detail"] == f"{where}: {said}"


async def test_a_value_of_several_types_has_one_path(app: FastAPI) -> None:
    answer = await post(app, "/v1/pets", json={"type": "cat", "born": "x"})
    assert {one["path"] for one in answer.json()["errors"]} == {"body.born"}


@pytest.mark.parametrize("path", ["pets", "anything"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_that_does_not_say_that_it_is_json(
    app: FastAPI, path: str, kind: str | None
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = await post(app, f"/v1/{path}", content=b'{"type": "dog"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.json()["detail"].endswith("content-type: application/json")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/merge+json"])
async def test_a_body_that_is_json_by_another_name(app: FastAPI, kind: str) -> None:
    headers = {"content-type": kind}
    answer = await post(app, "/v1/anything", content=b"{}", headers=headers)
    assert answer.status_code == 200
