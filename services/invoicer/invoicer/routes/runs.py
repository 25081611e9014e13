"""Runs: close what has ended by an instant, and see how far that is."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from common.auth import scope
from common.errors import ApiError
from common.events.rfc3339 import instant
from common.idempotency import IdempotencyKey, once
from common.ids import uuid7
from common.paging import Cursor, Limit, decode_cursor, page
from common.telemetry import traceparent
from invoicer import schemas
from invoicer.errors import THROUGH_IN_FUTURE, UNKNOWN_RUN
from invoicer.settings import Settings
from invoicer.store import SCHEMA, invoices
from invoicer.store import runs as store
from invoicer.store.runs import Run

router = APIRouter(tags=["runs"])
_LISTING = "runs"


@router.post(
    "/v1/runs",
    summary="Close every period that ended by an instant",
    dependencies=[scope("invoices:run")],
    response_model=None,
    responses={
        201: {"model": schemas.Run, "description": "A new run."},
        200: {"model": schemas.Run, "description": "There is a run through that instant already."},
    },
)
async def start_run(
    request: Request, body: schemas.RunBody, idempotency_key: IdempotencyKey = None
) -> Response:
    """There is one run an instant: the same `through` again answers with the run that is there.
    The run goes on in the background; GET /v1/runs/{id} shows what it waits for."""
    settings: Settings = request.app.state.settings
    now = datetime.now(UTC)
    # Told as time left, because an instant near the year 9999 cannot be added to.
    if body.through - now > timedelta(seconds=settings.future_seconds):
        raise ApiError(THROUGH_IN_FUTURE, f"it is {instant(now)}, before {instant(body.through)}")

    async def create(tx: Any) -> tuple[int, Any]:
        run, is_new = await store.create(
            tx,
            id=uuid7(),
            through=body.through,
            now=now,
            patience_end=now + timedelta(seconds=settings.patience_seconds),
            traceparent=request.headers.get("traceparent") or traceparent(),
        )
        return (201 if is_new else 200), await _answer(tx, run)

    request_body = body.model_dump(mode="json")
    return await once(
        request.app.state.pool, SCHEMA, "start run", idempotency_key, request_body, create
    )


@router.get(
    "/v1/runs",
    summary="Runs, newest first",
    dependencies=[scope("invoices:read")],
    response_model=None,
    responses={200: {"model": schemas.RunPage}},
)
async def list_runs(request: Request, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Each with what it waits for and the ids of its invoices."""
    key = decode_cursor(_LISTING, cursor, tuple[UUID])
    async with request.app.state.pool.acquire() as connection:
        rows = await store.newest(connection, key[0] if key else None, limit + 1)
        rows, following = page(_LISTING, rows, limit, lambda row: (row.id,))
        items = [await _answer(connection, row) for row in rows]
    return _json({"items": items, "next": following})


@router.get(
    "/v1/runs/{id}",
    summary="A run: what it waits for, what it made",
    dependencies=[scope("invoices:read")],
    response_model=None,
    responses={200: {"model": schemas.Run}},
)
async def get_run(request: Request, id: Annotated[UUID, Path()]) -> Response:
    """`state` is waiting, invoicing or done."""
    async with request.app.state.pool.acquire() as connection:
        run = await store.find(connection, id)
        if run is None:
            raise ApiError(UNKNOWN_RUN, f"no run {id}")
        return _json(await _answer(connection, run))


async def _answer(connection: Any, run: Run) -> dict[str, Any]:
    made = await invoices.of_run(connection, run.id)
    answer: dict[str, Any] = msgspec.to_builtins(
        {
            "id": run.id,
            "through": run.through,
            "state": run.state,
            "created_at": run.created_at,
            "patience_end": run.patience_end,
            "nodes_settled_at": run.nodes_settled_at,
            "invoicing_at": run.invoicing_at,
            "done_at": run.done_at,
            "waits_for": run.waits,
            "missing": run.missing,
            "left_out": run.left_out,
            "invoice_count": len(made),
            "invoices": made,
        }
    )
    return answer


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
