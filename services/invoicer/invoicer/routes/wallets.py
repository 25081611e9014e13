"""Wallets: what tenants paid in advance, and what became of it."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from common.auth import scope
from common.errors import ApiError
from common.idempotency import once
from common.money import UnknownCurrency, exponent, round_line
from common.paging import Cursor, Limit, decode_cursor, page
from invoicer import schemas
from invoicer.errors import BAD_AMOUNT, OVERDRAWN, REFERENCE_USED
from invoicer.routes.tenants import known_tenant
from invoicer.store import SCHEMA
from invoicer.store import wallets as store
from invoicer.store.wallets import Entry, Overdrawn, ReferenceUsed, Stored

router = APIRouter(tags=["wallets"])
_LISTING = "wallet entries"

TenantKey = Annotated[str, Path(min_length=1, max_length=256, description="The tenant's key.")]
Currency = Annotated[str, Path(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Sent again with the same body, the request has no further effect. Money "
        "moves, so it is required.",
    ),
]


@router.post(
    "/v1/wallets/{tenant}/{currency}/entries",
    summary="Money that a tenant paid in advance, or gets back",
    dependencies=[scope("wallets:write")],
    response_model=None,
    status_code=201,
    responses={201: {"model": schemas.WalletEntry}},
)
async def post_entry(
    tenant: TenantKey,
    currency: Currency,
    body: schemas.EntryBody,
    request: Request,
    idempotency_key: Key,
) -> Response:
    """Above 0 it is a top-up, below 0 a payout. What the wallet holds pays the tenant's next
    invoices in the currency, after taxes."""
    known_tenant(request, tenant)
    _require_minor_units(body, currency)

    async def create(tx: Any) -> tuple[int, Any]:
        entry = Entry(
            tenant=tenant,
            currency=currency,
            kind="top_up" if body.amount > 0 else "payout",
            amount=round_line(body.amount, currency),
            reference=body.reference,
            reason=body.reason,
            by=body.by,
            at=datetime.now(UTC),
        )
        try:
            return 201, msgspec.to_builtins(await store.record(tx, entry))
        except Overdrawn:
            held = await store.balance(tx, tenant, currency)
            raise ApiError(
                OVERDRAWN, f"the wallet holds {held} {currency}, {-body.amount} cannot be paid out"
            ) from None
        except ReferenceUsed:
            raise ApiError(
                REFERENCE_USED,
                f"there is a {entry.kind} of {tenant} in {currency} with the reference "
                f"{body.reference}",
                errors=[{"path": "body.reference", "message": "is used"}],
            ) from None

    asked = [tenant, currency, body.model_dump(mode="json")]
    return await once(request.app.state.pool, SCHEMA, "wallet", idempotency_key, asked, create)


@router.get(
    "/v1/wallets/{tenant}",
    summary="What a tenant's wallets hold",
    dependencies=[scope("wallets:read")],
    response_model=None,
    responses={200: {"model": schemas.Wallets}},
)
async def get_wallets(tenant: TenantKey, request: Request) -> Response:
    """By currency; a wallet that was never used is not listed."""
    known_tenant(request, tenant)
    held = await store.balances(request.app.state.pool, tenant)
    items = [{"currency": currency, "balance": balance} for currency, balance in held.items()]
    return _json({"tenant": tenant, "items": items})


@router.get(
    "/v1/wallets/{tenant}/{currency}/entries",
    summary="How a wallet came to what it holds",
    dependencies=[scope("wallets:read")],
    response_model=None,
    responses={200: {"model": schemas.WalletEntryPage}},
)
async def list_entries(
    tenant: TenantKey,
    currency: Currency,
    request: Request,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Newest first; `balance` is what the wallet held after the entry."""
    known_tenant(request, tenant)
    key = decode_cursor(_LISTING, cursor, tuple[int])
    rows = await store.newest(
        request.app.state.pool, tenant, currency, key[0] if key else None, limit + 1
    )
    rows, following = page(_LISTING, rows, limit, _number)
    return _json({"items": rows, "next": following})


def _require_minor_units(body: schemas.EntryBody, currency: str) -> None:
    try:
        places = exponent(currency)
    except UnknownCurrency as error:
        raise ApiError(
            BAD_AMOUNT, str(error), errors=[{"path": "path.currency", "message": str(error)}]
        ) from None
    if not body.amount or round_line(body.amount, currency) != body.amount:
        message = f"must not be 0, with at most {places} decimals in {currency}"
        raise ApiError(
            BAD_AMOUNT,
            f"body.amount {message}",
            errors=[{"path": "body.amount", "message": message}],
        )


def _number(entry: Stored) -> tuple[int]:
    return (entry.number,)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
