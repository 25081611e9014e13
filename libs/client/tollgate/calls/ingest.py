"""Calls to ingest: events, dead events, accounting. Events may go to a collector instead."""

import gzip
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tollgate.call import Call, get, segment, send
from tollgate.event import Event, encode_events
from tollgate.models import Accepted, Accounting, DeadEvent, EventState, Page

GZIP_FROM_BYTES = 2_048


def send_events(
    events: Sequence[Event] | Sequence[Mapping[str, Any]],
    *,
    to: Literal["ingest", "collector"] = "ingest",
) -> Call[Accepted]:
    """Send events (up to 250,000, 32 MiB). Returned means kept: in the log, or on the
    collector's disk. Events that cannot be counted are in `rejected` and are parked, not lost."""
    content = encode_events(list(events))  # type: ignore[arg-type]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    if len(content) > GZIP_FROM_BYTES:
        content = gzip.compress(content, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    # 422: every event was rejected; the list says why, as with 200.
    return Call(
        to,
        "POST",
        "/v1/events",
        Accepted,
        content=content,
        headers=headers,
        also={422: "rejected"},
    )


def event_state(source: str, id: str) -> Call[EventState]:
    """What became of one event."""
    return get("ingest", "/v1/events", EventState, source=source, id=id)


def accounting() -> Call[Accounting]:
    """How many elements were received, and what became of them."""
    return get("ingest", "/v1/accounting", Accounting)


def dead_events(*, state: str | None = None, limit: int | None = None) -> Call[Page[DeadEvent]]:
    """Events that were received and not counted, newest first."""
    return get("ingest", "/v1/dead-events", Page[DeadEvent], state=state, limit=limit)


def replay_dead_event(id: str) -> Call[dict[str, Any]]:
    """Send a dead event through once more."""
    return send("ingest", "POST", f"/v1/dead-events/{segment(id)}/replay", dict[str, Any])


def discard_dead_event(id: str) -> Call[dict[str, Any]]:
    """Give a dead event up; it stays in the accounting as parked."""
    return send("ingest", "POST", f"/v1/dead-events/{segment(id)}/discard", dict[str, Any])


def nodes(*, limit: int | None = None) -> Call[Page[dict[str, Any]]]:
    """The collectors that ingest knows, and where each stands."""
    return get("ingest", "/v1/nodes", Page[dict[str, Any]], limit=limit)
