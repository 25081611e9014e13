"""docs/pricing.md cannot lie: every request on the page gets the answer that stands under it."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

from rating.main import build
from rating.prices import MODELS
from rating.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "pricing.md"
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)]
EXAMPLES = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return build(Settings(), api=True, worker=False)


@pytest.mark.parametrize(("request_body", "answer"), EXAMPLES)
async def test_the_answer_stands_under_its_request(
    app: FastAPI, request_body: dict[str, Any], answer: dict[str, Any]
) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rating") as client:
        got = await client.post("/v1/rate", json=request_body)
    if "errors" in answer:
        assert (got.status_code, got.json()["errors"]) == (422, answer["errors"])
    else:
        assert (got.status_code, got.json()) == (200, answer)


@pytest.mark.parametrize(("request_body", "answer"), EXAMPLES)
def test_openapi_describes_the_requests_and_their_answers(
    app: FastAPI, request_body: dict[str, Any], answer: dict[str, Any]
) -> None:
    rate = app.openapi()["paths"]["/v1/rate"]["post"]
    asked = rate["requestBody"]["content"]["application/json"]["schema"]
    answered = rate["responses"]["200"]["content"]["application/json"]["schema"]
    is_right = "errors" not in answer
    assert jsonschema_rs.validator_for(asked).is_valid(request_body) == is_right
    assert jsonschema_rs.validator_for(answered).is_valid(answer) == is_right


def test_every_model_and_every_modifier_has_an_example() -> None:
    shown: set[str] = set()
    for body, answer in EXAMPLES:
        if "errors" not in answer:
            price = body["price"]
            shown |= {price["model"], *price, *price.get("conversion", {}), *body}
            shown |= {f"discount {kind}" for kind in price.get("discount", {})}
    assert shown >= MODELS.keys()
    assert shown >= {"multiply", "divide", "rounding", "precision", "included", "rollover"}
    assert shown >= {"discount percent", "discount amount", "discount quantity"}
    assert shown >= {"maximum", "minimum", "minimum_quantity"}
    assert shown >= {"events", "group", "groups", "invoiced", "rolled_over", "proration"}
