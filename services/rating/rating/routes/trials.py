"""Try a price without a plan: the rating function over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Body

from common.auth import scope
from rating.errors import refuse
from rating.trial import try_price

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
def rate_price(body: Annotated[dict[str, Any], Body(examples=[EXAMPLE])]) -> dict[str, Any]:
    """What a quantity costs at a price. Nothing is stored."""
    answer, errors = try_price(body)
    refuse(errors, "body.")
    return answer
