"""Rules: put, read, delete. A change takes effect at the edges by itself."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from common.auth import scope
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from throttler import store
from throttler.errors import RULE_CHANGED, UNKNOWN_METER, UNKNOWN_RULE
from throttler.schemas import SLUG, RuleHistory, RuleIn, RuleList, RuleOut, RuleVersion

router = APIRouter(tags=["rules"])
Slug = Annotated[str, Path(pattern=SLUG, description="The rule's name.")]


@router.put(
    "/v1/rules/{slug}",
    dependencies=[scope("rules:write")],
    response_model=RuleOut,
    response_model_exclude_none=True,
)
async def put_rule(
    slug: Slug,
    rule: RuleIn,
    request: Request,
    dry_run: Annotated[bool, Query(description="Check it and change nothing.")] = False,
    assume_meter: Annotated[
        bool, Query(description="In a dry run: the meter is about to be defined.")
    ] = False,
    in_force: Annotated[
        int | None,
        Query(ge=0, lt=2**31, description="Only if this version is in force; 0: if none is."),
    ] = None,
) -> Any:
    """Create the rule, or make a new version of it; an equal body changes nothing."""
    assumed = dry_run and assume_meter
    if not assumed and await request.app.state.meters.find(rule.meter) is None:
        raise ApiError(
            UNKNOWN_METER,
            f"there is no meter {rule.meter}",
            errors=[{"path": "body.meter", "message": f"there is no meter {rule.meter}"}],
        )
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        if dry_run:
            return _shown(await _foreseen(connection, slug, rule, request.app.state.clock()))
        try:
            stored, _ = await store.put_rule(connection, slug, rule.canonical(), expected=in_force)
        except store.RuleChanged as changed:
            raise ApiError(RULE_CHANGED, f"rule {slug}: {changed}") from None
    return _shown(stored)


@router.get(
    "/v1/rules",
    dependencies=[scope("rules:read")],
    response_model=None,
    responses={200: {"model": RuleList}},
)
async def list_rules(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The rules in force, by slug."""
    after = decode_cursor("rules", cursor, tuple[str])
    rows = await store.current_rules(request.app.state.pool, after[0] if after else "", limit + 1)
    rows, following = page("rules", rows, limit, lambda row: (row.slug,))
    body = {"items": [_shown(row) for row in rows], "next": following}
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get(
    "/v1/rules/{slug}",
    dependencies=[scope("rules:read")],
    response_model=RuleOut,
    response_model_exclude_none=True,
)
async def get_rule(slug: Slug, request: Request) -> Any:
    """The rule's current version."""
    stored = await store.rule(request.app.state.pool, slug)
    if stored is None or stored.body is None:
        raise ApiError(UNKNOWN_RULE, f"there is no rule {slug}")
    return _shown(stored)


@router.get("/v1/rules/{slug}/versions", dependencies=[scope("rules:read")])
async def get_rule_versions(slug: Slug, request: Request, limit: Limit = 100) -> RuleHistory:
    """Every version the rule ever had, newest first, its deletions included."""
    history = await store.rule_history(request.app.state.pool, slug, limit)
    if not history:
        raise ApiError(UNKNOWN_RULE, f"there never was a rule {slug}")
    return RuleHistory(
        items=[
            RuleVersion(
                version=one.version, created_at=one.at, deleted=one.body is None, rule=one.body
            )
            for one in history
        ]
    )


@router.delete("/v1/rules/{slug}", dependencies=[scope("rules:write")], status_code=204)
async def delete_rule(slug: Slug, request: Request) -> Response:
    """Take the rule out of force; tenants that it held are freed. Twice is once."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        deleted = await store.delete_rule(connection, slug)
    if deleted is None:
        raise ApiError(UNKNOWN_RULE, f"there never was a rule {slug}")
    return Response(status_code=204)


async def _foreseen(connection: Any, slug: str, rule: RuleIn, now: datetime) -> store.StoredRule:
    """The version that putting the rule would leave."""
    current = await store.rule(connection, slug)
    if current is not None and current.body == rule.canonical():
        return current
    version = current.version + 1 if current is not None else 1
    return store.StoredRule(slug, version, rule.canonical(), now)


def _shown(stored: store.StoredRule) -> dict[str, Any]:
    return {
        **(stored.body or {}),
        "slug": stored.slug,
        "version": stored.version,
        "updated_at": stored.at,
    }
