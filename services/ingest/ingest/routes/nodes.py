"""The nodes that send batches: where they stand, what is missing, what they vouch for."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request

from common.auth import scope
from common.paging import Cursor, Limit, decode_cursor, page
from ingest.schemas import Gap, Node, NodePage
from ingest.store import nodes as store

router = APIRouter(tags=["nodes"])
_LISTING = "nodes"


@router.get("/v1/nodes", dependencies=[scope("events:read")], summary="Where each node stands")
async def list_nodes(request: Request, cursor: Cursor = None, limit: Limit = 100) -> NodePage:
    """By name."""
    key = decode_cursor(_LISTING, cursor, tuple[str])
    after = key[0].replace("\0", "") if key else None
    rows = await store.list_nodes(request.app.state.pool, after, limit + 1)
    rows, following = page(_LISTING, rows, limit, lambda row: (row["node"],))
    return NodePage(items=[_node(row) for row in rows], next=following)


def _node(row: Any) -> Node:
    return Node(
        node=row["node"],
        epoch=row["epoch"],
        next_seq=row["next_seq"],
        gaps=[
            Gap(epoch=epoch, first_seq=first, last_seq=last)
            for epoch, gaps in row["gaps"] or []
            for first, last in gaps
        ],
        sealed_through=_instant(row["sealed_through_ms"]),
        sealed_received_at=_instant(row["sealed_received_ms"]),
        last_seen=datetime.fromtimestamp(row["last_seen_ms"] / 1000, UTC),
    )


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
