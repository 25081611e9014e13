"""What the API answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from common.events.validate import attribute_problem


def _usable(value: str) -> str:
    problem = attribute_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return value


Attribute = Annotated[str, AfterValidator(_usable)]
"""A source, id, node or epoch as it may stand in an event."""

DeadState = Literal["open", "replaying", "replayed", "duplicate", "discarded"]


class Rejected(BaseModel):
    """An element that was received and parked."""

    index: int = Field(description="Place in the request, from 0.")
    id: str | None = Field(description="The event's id, if it has one that can be used.")
    code: str = Field(description="Why; stable.")
    message: str = Field(description="Why, in words.")


class EventsAnswer(BaseModel):
    """All elements are in the log."""

    accepted: int
    rejected: list[Rejected]


class BatchAnswer(BaseModel):
    """The batch is in the log."""

    next_seq: int = Field(description="The sequence number that the node sends next.")
    decisions_revision: int = Field(description="The newest throttle decision, 0 if there is none.")
    rejected: list[Rejected]


class BatchBody(BaseModel):
    """What a node sends."""

    node: str = Field(min_length=1, max_length=256)
    epoch: str = Field(min_length=1, max_length=256, description="New for each fresh spool.")
    first_seq: int = Field(ge=1, description="Sequence number of the first event.")
    sealed_through: datetime | None = Field(
        None, description="Everything that the node saw before it has been sent."
    )
    events: list[dict[str, object]] = Field(description="CloudEvents, in the node's order.")


class Origin(BaseModel):
    """A place in usage.received."""

    partition: int
    offset: int


class DeadEvent(BaseModel):
    """An element that was received and not counted."""

    id: str
    state: DeadState
    code: str
    message: str
    source: str | None
    event_id: str | None
    node: str | None
    epoch: str | None
    seq: int | None
    index: int = Field(description="Place in the request, from 0.")
    origin: Origin
    truncated: bool = Field(description="Only the beginning of its bytes was kept.")
    received_at: datetime
    changed_at: datetime


class DeadEventDetail(DeadEvent):
    """A dead event with its bytes."""

    body: str | None = Field(description="The bytes, if they are UTF-8.")
    body_base64: str


class DeadEventPage(BaseModel):
    """Dead events, newest first."""

    items: list[DeadEvent]
    next: str | None


class EventStatus(BaseModel):
    """What became of an event. Fields that are not known, or not kept any more, are null.

    pending: in the log, not processed yet. counted: in usage.events, once. duplicate_conflict:
    counted, and another copy with other content was parked. parked: not counted. unknown: not
    found, among what is remembered and what was searched.
    """

    state: Literal["pending", "counted", "duplicate_conflict", "parked", "unknown"]
    source: str
    id: str
    origin: Origin | None = None
    received_at: datetime | None = None
    tenant: str | None = None
    type: str | None = None
    time: datetime | None = None
    hour: datetime | None = None
    code: str | None = Field(None, description="Why it was parked.")
    dead_events: list[str] = Field(default_factory=list)
    searched_all: bool = Field(
        True, description="False: the backlog was too long to be searched to its end."
    )


class Gap(BaseModel):
    """Sequence numbers that did not arrive, both ends included."""

    epoch: str
    first_seq: int
    last_seq: int


class Node(BaseModel):
    """Where a node stands; of its epochs, the one heard last."""

    node: str
    epoch: str
    next_seq: int
    gaps: list[Gap]
    sealed_through: datetime | None = Field(
        description="Everything that the node saw before it was sent and has been processed."
    )
    sealed_received_at: datetime | None = Field(
        description="When that seal was received: a watermark past it covers the node's events."
    )
    last_seen: datetime


class NodePage(BaseModel):
    """Nodes by name."""

    items: list[Node]
    next: str | None


class Accounting(BaseModel):
    """Elements since the beginning: received = counted + duplicates + parked + pending."""

    received: int
    counted: int
    duplicates: int
    parked: int
    pending: int
