"""Invoices: what was issued, and what would be issued now."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from common.auth import scope
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from invoicer import metrics, pdf, schemas
from invoicer.canonical import canonical, content_hash, parse
from invoicer.errors import CANNOT_DRAFT, UNKNOWN_INVOICE
from invoicer.invoice import DraftError, Invoice, draft
from invoicer.routes.tenants import known_tenant
from invoicer.store import charges, wallets
from invoicer.store import invoices as store
from invoicer.store.invoices import Stored

router = APIRouter(tags=["invoices"], dependencies=[scope("invoices:read")])
PDF = "application/pdf"
_LISTING = "invoices"
_PDF_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"model": schemas.Invoice, "content": {PDF: {}}}
}

TenantKey = Annotated[str, Query(min_length=1, max_length=256, description="The tenant's key.")]
Currency = Annotated[
    str | None, Query(pattern="^[A-Z]{3}$", description="Default: the tenant's currency.")
]
Through = Annotated[
    schemas.Instant | None, Query(description="Only periods that end by then; default: all.")
]
Id = Annotated[UUID, Path(description="The invoice's id.")]
Accept = Annotated[str, Header(include_in_schema=False)]


@router.get(
    "/v1/invoices",
    summary="Finalised invoices, newest first",
    response_model=None,
    responses={200: {"model": schemas.InvoicePage}},
)
async def list_invoices(
    request: Request,
    tenant: Annotated[str | None, Query(min_length=1, max_length=256)] = None,
    state: Literal["finalised", "paid", "void"] | None = None,
    charge: Annotated[
        str | None, Query(max_length=1000, description="Only those with a line of this charge.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Each with its lines."""
    key = decode_cursor(_LISTING, cursor, tuple[UUID])
    rows = await store.newest(
        request.app.state.pool,
        tenant=tenant,
        state=state,
        charge=charge,
        before=key[0] if key else None,
        limit=limit + 1,
    )
    rows, following = page(_LISTING, rows, limit, lambda row: (row.id,))
    return _json({"items": [_answer(row) for row in rows], "next": following})


@router.get(
    "/v1/invoices/interim",
    summary="What a tenant would be invoiced now",
    response_model=None,
    responses=_PDF_RESPONSE,
)
async def interim(
    request: Request,
    tenant: TenantKey,
    currency: Currency = None,
    through: Through = None,
    accept: Accept = "",
) -> Response:
    """All charges that are not invoiced yet, closed or still running, through the same function
    as a run; nothing is stored and no number is taken. PDF by Accept: application/pdf."""
    drafted, as_of = await _interim(request, tenant, currency, through)
    hash = content_hash(canonical(drafted))
    if _wants_pdf(accept):
        return await _pdf(request, drafted, hash=hash, state="interim", as_of=as_of)
    extra = {"run": None, "state": "draft", "as_of": as_of, "hash": hash}
    return _json(msgspec.to_builtins(drafted, builtin_types=(datetime,)) | extra)


@router.get("/v1/invoices/interim.pdf", summary="The interim invoice as PDF", response_model=None)
async def interim_pdf(
    request: Request, tenant: TenantKey, currency: Currency = None, through: Through = None
) -> Response:
    """As GET /v1/invoices/interim."""
    drafted, as_of = await _interim(request, tenant, currency, through)
    hash = content_hash(canonical(drafted))
    return await _pdf(request, drafted, hash=hash, state="interim", as_of=as_of)


@router.get("/v1/invoices/{id}.pdf", summary="An invoice as PDF", response_model=None)
async def get_pdf(request: Request, id: Id) -> Response:
    """The same bytes every time."""
    return await _stored_pdf(request, await _find(request, id))


@router.get("/v1/invoices/{id}", summary="An invoice", response_model=None, responses=_PDF_RESPONSE)
async def get_invoice(request: Request, id: Id, accept: Accept = "") -> Response:
    """JSON, or PDF by Accept: application/pdf. The hash is of the canonical form of the content:
    all members but `state`, `state_at`, `run` and `hash`."""
    stored = await _find(request, id)
    if _wants_pdf(accept):
        return await _stored_pdf(request, stored)
    return _json(_answer(stored))


async def _find(request: Request, id: UUID) -> Stored:
    stored = await store.find(request.app.state.pool, id)
    if stored is None:
        raise ApiError(UNKNOWN_INVOICE, f"no invoice {id}")
    return stored


async def _interim(
    request: Request, key: str, currency: str | None, through: datetime | None
) -> tuple[Invoice, datetime | None]:
    state = request.app.state
    tenant = known_tenant(request, key)
    currency = currency or tenant.currency
    as_of = await state.ask_watermark()
    pending = await charges.pending(state.pool, key, currency, through)
    try:
        drafted = draft(
            [one.charge for one in pending],
            {one.charge.id: one.invoiced for one in pending if one.invoiced is not None},
            tenant=tenant,
            seller=state.settings.seller,
            currency=currency,
            balance=await wallets.balance(state.pool, key, currency),
        )
    except DraftError as error:
        raise ApiError(CANNOT_DRAFT, str(error)) from None
    return drafted, as_of


async def _stored_pdf(request: Request, stored: Stored) -> Response:
    invoice = parse(stored.document)
    return await _pdf(request, invoice, hash=stored.hash, state=stored.state, as_of=None)


async def _pdf(
    request: Request, invoice: Invoice, *, hash: str, state: str, as_of: datetime | None
) -> Response:
    with metrics.RENDER_SECONDS.time():
        content = await asyncio.to_thread(
            pdf.render,
            invoice,
            hash=hash,
            state=state,
            as_of=as_of,
            font_paths=request.app.state.settings.font_paths,
        )
    name = invoice.number or f"interim-{hash[:12]}"
    headers = {"Content-Disposition": f'inline; filename="{name.replace("/", "-")}.pdf"'}
    return Response(content, media_type=PDF, headers=headers)


def _wants_pdf(accept: str) -> bool:
    return PDF in accept.lower()


def _answer(stored: Stored) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(stored.document)
    return document | {
        "run": stored.run,
        "state": stored.state,
        "state_at": stored.state_at,
        "hash": stored.hash,
    }


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
