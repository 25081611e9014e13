"""How much one client may send at once. Every loop and buffer of this package is bounded here."""

from typing import Final

BODY_BYTES: Final = 32 * 1024 * 1024
"""A body, decoded. Vector's batches pass 10 MB, so less would make it drop data."""

BODY_EVENTS: Final = 250_000
"""Elements of one body."""

DENSE_BODY_BYTES: Final = 4 * 1024 * 1024
"""A body that is mostly commas may be this long: each element costs ~60 bytes of memory."""

TOLERANT_BODY_BYTES: Final = 4 * 1024 * 1024
"""Up to here a bad element of an array is told apart from the good ones; the scan is slow."""

EVENT_BYTES: Final = 1024 * 1024
"""One event: it has to fit into one record of the log."""

EVENT_DEPTH: Final = 64
"""Nesting of arrays and objects; deeper ones would break recursive readers downstream."""

ATTRIBUTE_CHARS: Final = 256
"""Length of `id`, `source`, `type`, `subject`, and of a batch's `node` and `epoch`."""

PAST_MS: Final = 35 * 86_400_000
"""Events may be this old. The ledger remembers identities for longer than that."""

FUTURE_MS: Final = 5 * 60_000
"""Events may be this far ahead of the receiver's clock."""
