"""Re-ratings: previewed, approved, applied once."""

import logging
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from common.auth import scope
from common.contracts.charges import Charge
from common.errors import ApiError
from common.idempotency import IdempotencyKey, once
from common.ids import uuid7
from common.paging import Cursor, Limit, decode_cursor, page
from rating.correction import Correction
from rating.errors import (
    CURRENCY_MISMATCH,
    NO_PERIODS,
    RERATE_DECIDED,
    RERATE_STALE,
    UNKNOWN_REFERENCE,
    UNKNOWN_RERATE,
)
from rating.plan_book import NoVariant
from rating.rerate import Examined, Scope, bring_about, examine
from rating.rerating import Repriced, digest, summary
from rating.routes.ranges import asked_range, require_tenants
from rating.schemas import Bound, ChargeOut, Key, Slug, Strict
from rating.store import SCHEMA, plans, rerates, tenants
from rating.store.rerates import Line, Rerate

log = logging.getLogger(__name__)
router = APIRouter(tags=["re-ratings"])
Id = Annotated[str, Path(min_length=1, max_length=100)]
Version = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
By = Annotated[str, Field(min_length=1, max_length=200)]
MAX_TENANTS = 100_000


class CorrectionIn(Strict):
    """Subscribers of the plan get `version` for the time of the re-rating, instead of the versions
    `replaces` (all others when left out)."""

    slug: Slug
    version: Version
    replaces: Annotated[list[Version], Field(max_length=1000)] | None = None


class RerateIn(Strict):
    tenants: Annotated[list[Key], Field(max_length=MAX_TENANTS)] | None = Field(
        None, description="All when left out."
    )
    start: Bound = Field(
        alias="from",
        description="A day, or an instant that is rounded down to ten seconds. The billing periods"
        " that begin in [from, to) are rated.",
    )
    end: Bound = Field(alias="to", description="Exclusive; not after now.")
    reason: str = Field(min_length=1, max_length=1000)
    by: By
    plan: CorrectionIn | None = Field(
        None, description="A version with the right prices; without it, rated as things are."
    )


class DecisionIn(Strict):
    by: By


class RerateOut(BaseModel):
    """`summary`: what would change (or was to, when it was previewed), by currency; differences
    are of what invoices say."""

    id: str
    state: Literal["preview", "applied", "discarded"]
    created_at: datetime
    created_by: str
    reason: str
    request: dict[str, Any]
    summary: dict[str, Any]
    decided_at: datetime | None
    decided_by: str | None

    @classmethod
    def of(cls, rerate: Rerate) -> "RerateOut":
        return cls(
            id=rerate.id,
            state=rerate.state,
            created_at=rerate.created_at,
            created_by=rerate.created_by,
            reason=rerate.reason,
            request=rerate.request,
            summary=rerate.summary,
            decided_at=rerate.decided_at,
            decided_by=rerate.decided_by,
        )


class RerateList(BaseModel):
    items: list[RerateOut]
    next: str | None


class LineOut(BaseModel):
    """A charge whose amount changes, before (null: there was none) and after, as GET /v1/charges
    shows them."""

    number: int
    tenant: str
    charge: str
    before: dict[str, Any] | None
    after: dict[str, Any]

    @classmethod
    def of(cls, line: Line) -> "LineOut":
        return cls(
            number=line.number,
            tenant=line.tenant,
            charge=line.charge,
            before=line.before,
            after=line.after,
        )


class LineList(BaseModel):
    items: list[LineOut]
    next: str | None


@router.post(
    "/v1/rerates",
    dependencies=[scope("catalog:write")],
    response_model=None,
    status_code=201,
    responses={201: {"model": RerateOut}},
)
async def post_rerate(
    body: RerateIn, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Preview what rating a time again would change. Nothing changes until it is approved."""

    async def create(tx: Any) -> tuple[int, Any]:
        now = request.app.state.clock()
        asked = await _scope(tx, body, now)
        id = str(uuid7())
        found = await _examined(tx, request, asked, id, body.by, body.reason, begun_by=now)
        lines = _lines(found)
        rerate = Rerate(
            id=id,
            created_at=now,
            created_by=body.by,
            reason=body.reason,
            request=body.model_dump(mode="json", by_alias=True),
            digest=digest(lines, by=now),
            summary=summary(lines) | {"subscriptions": sum(len(one.rerated) for one in found)},
        )
        shown = [_line(number, line) for number, line in enumerate(lines, start=1)]
        await rerates.add(tx, rerate, shown)
        return 201, RerateOut.of(rerate).model_dump(mode="json")

    asked = body.model_dump(mode="json", by_alias=True)
    pool = request.app.state.pool
    return await once(pool, SCHEMA, "rerates", idempotency_key, asked, create)


@router.get("/v1/rerates", dependencies=[scope("catalog:read")])
async def list_rerates(request: Request, limit: Limit = 100, cursor: Cursor = None) -> RerateList:
    """All re-ratings that were ever previewed, the newest first."""
    before = decode_cursor("rerates", cursor, tuple[str])
    rows = await rerates.page(request.app.state.pool, before[0] if before else None, limit + 1)
    rows, following = page("rerates", rows, limit, lambda one: (one.id,))
    return RerateList(items=[RerateOut.of(one) for one in rows], next=following)


@router.get("/v1/rerates/{id}", dependencies=[scope("catalog:read")])
async def get_rerate(id: Id, request: Request) -> RerateOut:
    """One re-rating."""
    return RerateOut.of(await _found(request.app.state.pool, id))


@router.get("/v1/rerates/{id}/lines", dependencies=[scope("catalog:read")])
async def list_lines(
    id: Id,
    request: Request,
    tenant: Annotated[str | None, Query(max_length=256)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> LineList:
    """The charges whose amounts change, by tenant, period and price."""
    await _found(request.app.state.pool, id)
    listing = f"rerates/{id}"
    after = decode_cursor(listing, cursor, tuple[int])
    rows = await rerates.lines(
        request.app.state.pool, id, tenant, after[0] if after else 0, limit + 1
    )
    rows, following = page(listing, rows, limit, lambda line: (line.number,))
    return LineList(items=[LineOut.of(line) for line in rows], next=following)


@router.post("/v1/rerates/{id}/approve", dependencies=[scope("catalog:write")])
async def approve_rerate(id: Id, body: DecisionIn, request: Request) -> RerateOut:
    """Apply what was previewed, once: a second approval changes nothing. Refused (409
    `rerate_stale`) when it would do something else by now to what was due at the preview."""
    state = request.app.state
    async with state.pool.acquire() as connection, connection.transaction():
        rerate = await _found(connection, id, lock=True)
        if rerate.state == "applied":
            return RerateOut.of(rerate)
        if rerate.state == "discarded":
            raise ApiError(RERATE_DECIDED, f"{rerate.decided_by} has discarded it")
        now = state.clock()
        asked = await _scope(connection, RerateIn.model_validate(rerate.request), now)
        await tenants.lock_all(connection, asked.tenants)
        found = await _examined(
            connection,
            request,
            asked,
            id,
            rerate.created_by,
            rerate.reason,
            begun_by=rerate.created_at,
        )
        if digest(_lines(found), by=rerate.created_at) != rerate.digest:
            raise ApiError(
                RERATE_STALE, "what was due at the preview has changed since; make a new one"
            )
        for batch in found:
            await bring_about(connection, batch.rerated)
        await rerates.decide(connection, id, "applied", now, body.by)
        applied = await _found(connection, id)
    lines = _lines(found)
    log.info(
        "re-rating %s of %s applied by %s: %d charges of %d tenants change (%s)",
        id,
        applied.created_by,
        body.by,
        len(lines),
        len({line.after.tenant for line in lines}),
        applied.reason,
    )
    return RerateOut.of(applied)


@router.post("/v1/rerates/{id}/discard", dependencies=[scope("catalog:write")])
async def discard_rerate(id: Id, body: DecisionIn, request: Request) -> RerateOut:
    """Decide against it. Twice is once; what was applied stays applied (409 `rerate_decided`)."""
    state = request.app.state
    async with state.pool.acquire() as connection, connection.transaction():
        rerate = await _found(connection, id, lock=True)
        if rerate.state == "applied":
            raise ApiError(RERATE_DECIDED, f"{rerate.decided_by} has approved it")
        if rerate.state == "preview":
            await rerates.decide(connection, id, "discarded", state.clock(), body.by)
        return RerateOut.of(await _found(connection, id))


async def _found(connection: Any, id: str, *, lock: bool = False) -> Rerate:
    rerate = await rerates.get(connection, id, lock=lock)
    if rerate is None:
        raise ApiError(UNKNOWN_RERATE, f"there is no re-rating {id}")
    return rerate


async def _scope(tx: Any, body: RerateIn, now: datetime) -> Scope:
    asked = asked_range(body.start, body.end, now)
    await require_tenants(tx, body.tenants)
    correction = None
    if body.plan is not None:
        wanted = body.plan
        named = [("version", wanted.version)]
        named += [(f"replaces.{i}", number) for i, number in enumerate(wanted.replaces or ())]
        for path, number in named:
            if await plans.version_of(tx, wanted.slug, number) is None:
                said = f"there is no version {number} of plan {wanted.slug}"
                errors = [{"path": f"body.plan.{path}", "message": said}]
                raise ApiError(UNKNOWN_REFERENCE, said, errors=errors)
        correction = Correction(wanted.slug, wanted.version, frozenset(wanted.replaces or ()))
    return Scope(body.tenants, asked, correction)


async def _examined(
    tx: Any,
    request: Request,
    asked: Scope,
    id: str,
    by: str,
    reason: str,
    *,
    begun_by: datetime,
) -> list[Examined]:
    state = request.app.state
    try:
        found = [
            batch
            async for batch in examine(
                tx,
                state.plans,
                asked,
                by=begun_by,
                now=state.clock(),
                actor=by,
                reason=f"re-rating {id}: {reason}",
            )
        ]
    except NoVariant as error:
        raise ApiError(CURRENCY_MISMATCH, str(error)) from None
    if not any(batch.periods for batch in found):
        raise ApiError(NO_PERIODS, "no billing period of these tenants begins in [from, to)")
    return found


def _lines(found: list[Examined]) -> list[Repriced]:
    return [line for batch in found for line in batch.lines]


def _line(number: int, line: Repriced) -> Line:
    before = None if line.before is None else _shown(line.before)
    return Line(
        number=number,
        tenant=line.after.tenant,
        charge=line.after.id,
        before=before,
        after=_shown(line.after),
    )


def _shown(charge: Charge) -> dict[str, Any]:
    return ChargeOut.of(charge).model_dump(mode="json", by_alias=True)
