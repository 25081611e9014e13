"""What this node holds, where it stands, and whom it reaches."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from collector.decisions.holder import Held
from collector.node import Node
from collector.schemas import (
    CentreStatus,
    DecisionsStatus,
    HeldDecision,
    ParkedItem,
    ParkedList,
    SpoolStatus,
    Status,
    TailPosition,
    TailStatus,
)
from common.auth import scope
from common.paging import Cursor, Limit, decode_cursor, page

router = APIRouter(tags=["status"], dependencies=[scope("node:read")])


@router.get("/v1/status", summary="The node at a glance")
async def get_status(
    request: Request,
    tenant: Annotated[
        str | None, Query(max_length=256, description="List this tenant's decisions only.")
    ] = None,
) -> Status:
    node: Node = request.app.state.node
    return Status(
        spool=_spool(node),
        tail=_tail(node),
        centre=CentreStatus(
            reachable=node.shipper.link.reachable,
            last_success=_moment_ms(node.shipper.link.last_success_ms),
            last_error=node.shipper.link.last_error,
            rolled_back=node.shipper.link.rolled_back,
            sealed_through=datetime.fromisoformat(node.shipper.link.sealed_through),
        ),
        decisions=_decisions(node, tenant),
    )


@router.get("/v1/parked", summary="What could not become usage, with the reason")
async def get_parked(request: Request, limit: Limit = 100, cursor: Cursor = None) -> ParkedList:
    node: Node = request.app.state.node
    after = decode_cursor("parked", cursor, tuple[int])
    rows, following = page(
        "parked",
        node.spool.read_parked(after[0] if after else 0, limit + 1),
        limit,
        lambda row: (row.id,),
    )
    return ParkedList(
        items=[
            ParkedItem(
                id=row.id,
                at=row.at,
                origin=row.origin,
                place=row.place,
                reason=row.reason,
                body=row.body.decode("utf-8", "replace"),
            )
            for row in rows
        ],
        next=following,
    )


def _spool(node: Node) -> SpoolStatus:
    state = node.spool.state
    return SpoolStatus(
        node=state.identity.node,
        epoch=state.identity.epoch,
        next_seq=state.identity.next_seq,
        acked_seq=state.identity.acked_seq,
        unsent=state.unsent,
        backlog=state.backlog,
        used_bytes=state.used_bytes,
        max_bytes=node.settings.spool_max_bytes,
        parked=state.parked,
        full=state.full,
        error=state.error,
    )


def _tail(node: Node) -> TailStatus | None:
    if node.tail is None:
        return None
    follower = node.tail.follower
    return TailStatus(
        path=str(follower.path),
        blocked=node.tail.blocked,
        half_line=follower.half_line,
        lost_generations=follower.lost_generations,
        positions=[
            TailPosition(
                generation=position.generation,
                inode=position.inode,
                offset=position.offset,
                finished=position.finished,
            )
            for position in follower.positions[-20:]
        ],
    )


def _decisions(node: Node, tenant: str | None) -> DecisionsStatus:
    silence_ns = node.decisions.silence_ns()
    held = node.decisions.held()
    return DecisionsStatus(
        revision=node.decisions.revision,
        loaded_revision=node.decisions.loaded_revision,
        via=node.feed.line.via,
        silence_seconds=None if silence_ns is None else silence_ns / 1e9,
        last_error=node.feed.line.last_error,
        held=[_held(one) for one in held if tenant in (None, one.decision.tenant)][:1000],
    )


def _held(held: Held) -> HeldDecision:
    decision = held.decision
    return HeldDecision(
        tenant=decision.tenant,
        action=decision.action,
        state=decision.state,
        status=decision.status,
        rule=decision.rule,
        rule_version=decision.rule_version,
        revision=decision.revision,
        as_of=decision.as_of,
        decided_at=decision.decided_at,
        expires_at=decision.expires_at,
        applied_at=_moment_ms(held.applied_ns // 1_000_000 or None),
    )


def _moment_ms(unix_ms: int | None) -> datetime | None:
    return None if unix_ms is None else datetime.fromtimestamp(unix_ms / 1000, UTC)
