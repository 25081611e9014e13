"""When a period is complete enough to bill. Pure.

A run through T may invoice when (a) every edge node has sealed T, or the patience with silent
nodes is over, and (b) everything received before `max(T, created_at, the moment (a) held) + grace`
has become charges. (b) has no way around it: without it an invoice would be wrong, not late.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from invoicer.invoice import Missing


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An edge node; everything that it saw before `sealed_through` has been sent."""

    node: str
    sealed_through: datetime | None = None


class NodesUnknown(msgspec.Struct, frozen=True):
    """Ingest did not say which nodes there are."""

    reason: str


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a run waits for: `needed` is the instant that `now` must reach."""

    kind: Literal["node", "ingest", "watermark", "tenant", "fault"]
    name: str
    detail: str
    now: datetime | None = None
    needed: datetime | None = None


class Settled(msgspec.Struct, frozen=True):
    """The nodes need not be waited for any more; `missing` is what patience gave up on."""

    missing: list[Missing]


def judge_nodes(
    nodes: Sequence[Node] | NodesUnknown,
    *,
    through: datetime,
    now: datetime,
    patience_end: datetime,
) -> Settled | list[Wait]:
    """Whether every node sealed `through`; otherwise what is waited for, until `patience_end`."""
    is_over = now >= patience_end
    if isinstance(nodes, NodesUnknown):
        if is_over:
            detail = f"The edge nodes' seals could not be checked: {nodes.reason}"
            return Settled([Missing(kind="ingest", name="ingest", detail=detail)])
        return [Wait(kind="ingest", name="ingest", detail=nodes.reason, needed=through)]
    silent = [node for node in latest(nodes) if not _sealed(node, through)]
    if not silent:
        return Settled([])
    if is_over:
        return Settled(
            [
                Missing(
                    kind="node",
                    name=node.node,
                    detail="Usage of this node may be incomplete; it follows as a correction.",
                    sealed_through=node.sealed_through,
                )
                for node in silent
            ]
        )
    return [
        Wait(
            kind="node",
            name=node.node,
            detail="has not said that everything before then has been sent",
            now=node.sealed_through,
            needed=through,
        )
        for node in silent
    ]


def judge_watermark(watermark: datetime | None, *, needed: datetime) -> list[Wait]:
    """Empty when everything received before `needed` has become charges here."""
    if watermark is not None and watermark >= needed:
        return []
    return [
        Wait(
            kind="watermark",
            name="billing.charges",
            detail="usage received before then is still on its way",
            now=watermark,
            needed=needed,
        )
    ]


def needed_watermark(
    *, through: datetime, created_at: datetime, nodes_settled_at: datetime, grace: timedelta
) -> datetime:
    """What the watermark must reach: usage that nodes sent by the time they sealed is received
    before the seal was seen. `grace` covers clocks that differ."""
    return max(through, created_at, nodes_settled_at) + grace


def latest(nodes: Sequence[Node]) -> list[Node]:
    """One entry a node, by name: a node that began anew counts by its newest seal."""
    newest: dict[str, Node] = {}
    for node in nodes:
        if node.node not in newest or _sealed(node, newest[node.node].sealed_through):
            newest[node.node] = node
    return [newest[name] for name in sorted(newest)]


def _sealed(node: Node, through: datetime | None) -> bool:
    """Whether a seal is at or after `through`; no instant at all is before every instant."""
    if through is None:
        return True
    return node.sealed_through is not None and node.sealed_through >= through
