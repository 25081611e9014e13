"""The collector's own error codes; the shared ones are in common.errors."""

from typing import Final

from common.errors import declare

SPOOL_FULL: Final = declare(
    "spool_full",
    503,
    "The node's disk budget is used up: usage that was taken is kept, new usage must wait.",
)
SPOOL_BROKEN: Final = declare(
    "spool_broken", 503, "The node's spool cannot be written at the moment; try again."
)
EMPTY_BODY: Final = declare("empty_body", 400, "The body has no event in it.")
ALL_REJECTED: Final = declare(
    "all_rejected", 422, "Every element was received and parked; `rejected` says why."
)
