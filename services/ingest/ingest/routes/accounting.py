"""The accounting identity."""

from fastapi import APIRouter, Request

from common.auth import scope
from ingest.account import take_account
from ingest.schemas import Accounting

router = APIRouter(tags=["accounting"])


@router.get("/v1/accounting", dependencies=[scope("events:read")], summary="Where every element is")
async def get_accounting(request: Request) -> Accounting:
    """received = counted + duplicates + parked + pending, in one snapshot."""
    state = request.app.state
    return await take_account(state.pool, state.backlog)
