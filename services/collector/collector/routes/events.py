"""POST /v1/events: usage from the apps on this node, acknowledged when it is on disk."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from collector import metrics
from collector.errors import ALL_REJECTED, SPOOL_BROKEN, SPOOL_FULL
from collector.intake import Intake, sort_out
from collector.node import Node
from collector.schemas import EventsAccepted, RejectedEvent
from collector.spool.values import Parked
from collector.spool.writer import Change, SpoolBrokenError, SpoolFullError
from common.auth import scope
from common.errors import ApiError, ErrorCode, problem
from common.events import BodyError, decompress, elements
from common.events.limits import BODY_BYTES

SCOPE = "events:write"
router = APIRouter(tags=["events"], dependencies=[scope(SCOPE)])
PATH = "/v1/events"

_EVENTS_A_TURN = 250
_LARGE_BODY_BYTES = 256 * 1024
_PARKED_ROWS_MAX = 10_000
_PARKED_BYTES_MAX = 8 * 1024
_CLIENT_GONE = 499
"""As nginx calls it; it stands in no answer, because nobody is there to read it."""


@router.post(
    PATH,
    response_model=EventsAccepted,
    summary="Take usage events: one CloudEvent, an array, or one a line; gzip or zstd",
)
async def post_events(
    request: Request,
    content_type: Annotated[str | None, Header()] = None,
    content_encoding: Annotated[str | None, Header()] = None,
) -> Response:
    """200 means: on this node's disk, behind an fsync. Send what was not answered again, with the
    same ids; it is counted once."""
    return await take(request.app.state.node, request)


async def take(node: Node, request: Request) -> Response:
    """The answer to a body of events, once they are durable. Raises ApiError."""
    content_type = request.headers.get("content-type")
    content_encoding = request.headers.get("content-encoding")
    try:
        body = await _read(request)
        if len(body) > _LARGE_BODY_BYTES:
            found = await asyncio.to_thread(_parse, body, content_encoding, content_type)
        else:
            found = _parse(body, content_encoding, content_type)
    except BodyError as error:
        return problem(ErrorCode(error.code, error.status, str(error)), str(error))
    except ClientDisconnect:
        return Response(status_code=_CLIENT_GONE)
    if not found:
        return JSONResponse(EventsAccepted(accepted=0, rejected=[]).model_dump())
    now_ms = time.time_ns() // 1_000_000
    arrival = node.seals.arrived(now_ms)
    try:
        intake = await _sort_out(found, now_ms)
    except BaseException:
        node.seals.settled(arrival)
        raise
    await _keep(node, intake, arrival)
    return _answer(intake)


async def _sort_out(found: list[bytes], now_ms: int) -> Intake:
    intake = Intake()
    for index in range(0, len(found), _EVENTS_A_TURN):
        if index:
            await asyncio.sleep(0)  # a large body must not keep the gate waiting
        sort_out(intake, index, found[index : index + _EVENTS_A_TURN], now_ms)
    return intake


async def _keep(node: Node, intake: Intake, arrival: int) -> None:
    """Returns when the events are durable; the refused ones are kept aside, up to a number.

    The arrival is settled by the commit, also when the caller does not wait for it any more.
    """
    parked = [
        Parked("app", f"event {item.index}", item.code, item.raw[:_PARKED_BYTES_MAX])
        for item in intake.rejected[: max(0, _PARKED_ROWS_MAX - node.spool.state.parked)]
    ]
    change = Change(events=intake.events, parked=parked)
    kept = asyncio.wrap_future(node.spool.submit(change))
    kept.add_done_callback(lambda _: node.seals.settled(arrival))
    try:
        await asyncio.shield(kept)
    except SpoolFullError as error:
        metrics.spool_refusals.labels(code=SPOOL_FULL.code).inc()
        raise ApiError(SPOOL_FULL, str(error), headers={"Retry-After": "5"}) from None
    except SpoolBrokenError as error:
        metrics.spool_refusals.labels(code=SPOOL_BROKEN.code).inc()
        raise ApiError(SPOOL_BROKEN, str(error), headers={"Retry-After": "5"}) from None
    metrics.events_accepted.inc(len(intake.events))
    for item in intake.rejected:
        metrics.events_rejected.labels(code=item.code).inc()


def _answer(intake: Intake) -> Response:
    rejected = [
        RejectedEvent(index=item.index, id=item.id, code=item.code, message=item.message)
        for item in intake.rejected
    ]
    if not intake.events:
        listed = [item.model_dump() for item in rejected]
        return problem(ALL_REJECTED, "no event of the body could be taken", rejected=listed)
    accepted = EventsAccepted(accepted=len(intake.events), rejected=rejected)
    return JSONResponse(accepted.model_dump())


def _parse(body: bytes, content_encoding: str | None, content_type: str | None) -> list[bytes]:
    return elements(decompress(body, content_encoding), content_type)


async def _read(request: Request) -> bytes:
    """The body as it was sent; 413 as soon as it is longer than an uncompressed one may be."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_BYTES:
        raise _too_large()
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> BodyError:
    return BodyError(413, "body_too_large", f"at most {BODY_BYTES} bytes; send less at a time")
