"""What the collector's API answers."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class RejectedEvent(BaseModel):
    """An event of a body that was not taken."""

    index: int = Field(description="Its place in the body, from 0.")
    id: str | None = Field(description="Its id, when it has a usable one.")
    code: str
    message: str


class EventsAccepted(BaseModel):
    """The events are on this node's disk."""

    accepted: int
    rejected: list[RejectedEvent]


class SpoolStatus(BaseModel):
    """The spool: `unsent` events wait for the centre; `backlog` of them were overtaken by newer."""

    node: str
    epoch: str
    next_seq: int
    acked_seq: int
    unsent: int
    backlog: int
    used_bytes: int
    max_bytes: int
    parked: int
    full: bool
    error: str | None


class TailPosition(BaseModel):
    """How far one generation of the log has been read, in bytes."""

    generation: int
    inode: int
    offset: int
    finished: bool


class TailStatus(BaseModel):
    """The tailed log. `blocked` says why it is not being read, if it is not."""

    path: str
    blocked: str | None
    half_line: bool
    lost_generations: int
    positions: list[TailPosition]


class CentreStatus(BaseModel):
    """The way to ingest. `sealed_through`: everything that this node saw before then is there.
    `rolled_back`: the spool is an old copy and ships nothing."""

    reachable: bool
    last_success: datetime | None
    last_error: str | None
    rolled_back: bool
    sealed_through: datetime


class HeldDecision(BaseModel):
    """A decision in force. `applied_at`: when it took effect here; null: loaded from disk."""

    tenant: str
    action: str
    state: Literal["allow", "throttle", "deny"]
    status: int
    rule: str | None
    rule_version: int | None
    revision: int
    as_of: datetime | None
    decided_at: datetime
    expires_at: datetime | None
    applied_at: datetime | None


class DecisionsStatus(BaseModel):
    """The decisions on this node. `silence_seconds`: since the throttler was heard last."""

    revision: int
    loaded_revision: int = Field(description="The revision that was on disk at the start.")
    via: Literal["sse", "poll"] | None
    silence_seconds: float | None
    last_error: str | None
    held: list[HeldDecision]


class Status(BaseModel):
    """The whole node at a glance."""

    spool: SpoolStatus
    tail: TailStatus | None
    centre: CentreStatus
    decisions: DecisionsStatus


class ParkedItem(BaseModel):
    """Something kept aside: a bad line, a refused event, with where it came from and why."""

    id: int
    at: datetime
    origin: Literal["nginx", "app", "ship"]
    place: str
    reason: str
    body: str


class ParkedList(BaseModel):
    """`next` is the cursor of the following page."""

    items: list[ParkedItem]
    next: str | None
