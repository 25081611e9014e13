"""Try a price without a plan: the rating function over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import WithJsonSchema

from common.auth import scope
from rating.errors import refuse
from rating.trial import try_price
from rating.trial_schema import RATE_ANSWER, RATE_REQUEST

router = APIRouter(tags=["prices"])
EXAMPLE = {
    "currency": "USD",
    "price": {
        "model": "unit",
        "unit_amount": "10",
        "discount": {"percent": "50"},
        "maximum": "100",
    },
    "quantity": "27",
    "invoiced": "35",
}


@router.post("/v1/rate", dependencies=[scope("catalog:read")])
def rate_price(
    body: Annotated[dict[str, Any], WithJsonSchema(RATE_REQUEST), Body(examples=[EXAMPLE])],
) -> Annotated[dict[str, Any], WithJsonSchema(RATE_ANSWER)]:
    """What a quantity costs at a price. Nothing is stored."""
    answer, errors = try_price(body)
    refuse(errors, "body.")
    return answer
