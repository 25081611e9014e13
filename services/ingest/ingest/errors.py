"""Error codes that only ingest answers with. Reasons of parked events: common/events/codes.py."""

from typing import Final

from common.errors import declare

EMPTY_BODY: Final = declare("empty_body", 400, "The body has no event in it.")
INVALID_ENCODING: Final = declare(
    "invalid_encoding", 400, "The body is not what its Content-Encoding says, or is cut off."
)
INVALID_BATCH: Final = declare(
    "invalid_batch", 400, "The frame of a node's batch is wrong; nothing of it was taken."
)
TOO_MANY_EVENTS: Final = declare("too_many_events", 413, "The body holds too many events.")
ALL_REJECTED: Final = declare(
    "all_rejected", 422, "Every element was received and parked; `rejected` says why."
)
OUTCOME_UNKNOWN: Final = declare(
    "outcome_unknown",
    503,
    "The log did not acknowledge in time. Send the same events, with the same ids, again.",
)
OVERLOADED: Final = declare("overloaded", 503, "Too many bytes are in flight; try again.")
BODY_TOO_SLOW: Final = declare("body_too_slow", 503, "The body did not arrive in time.")
NOT_REPLAYABLE: Final = declare(
    "not_replayable", 409, "This dead event cannot be counted: a conflict, or only its beginning."
)
STILL_INVALID: Final = declare(
    "still_invalid", 422, "The event would be parked again; `reason` says why."
)
DEAD_EVENT_CLOSED: Final = declare(
    "dead_event_closed", 409, "The dead event was replayed or discarded already."
)
