"""Settings of ingest: environment variables with the prefix TOLLGATE_."""

from typing import Literal

from pydantic import Field

from common.settings import StreamSettings


class IngestSettings(StreamSettings):
    """What ingest needs besides what every service needs."""

    port: int = Field(8101, ge=0, le=65535, description="Port to listen on.")
    append_seconds: float = Field(
        10,
        gt=0,
        description="Seconds that Kafka may take to acknowledge before a request is answered 503.",
    )
    body_seconds: float = Field(
        30, gt=0, description="Seconds that a client may take to send its body."
    )
    in_flight_bytes: int = Field(
        128 * 1024 * 1024,
        gt=0,
        description="Bytes of bodies held at a time; past it, further requests are answered 503.",
    )
    ledger_days: int = Field(
        36,
        ge=36,
        description=(
            "Days for which identities are remembered, counted back from the watermark. Events"
            " may be 35 days old, so less would count a late copy twice."
        ),
    )
    ledger: Literal["packed", "plain"] = Field(
        "packed",
        description=(
            "How identities are remembered: in blocks, one a step, or in a plain row each. Plain"
            " can become packed at any time, and what the rows hold is still asked; back it"
            " cannot, and a start with plain is refused then."
        ),
    )
    ledger_memory_bytes: int = Field(
        512 * 1024 * 1024,
        gt=0,
        description=(
            "Bytes of fingerprints of the packed ledger that a process keeps: 8 for each identity"
            " of the days in use. With less than that, days are read again and again."
        ),
    )
    read_messages: int = Field(200, gt=0, description="Envelopes that one step takes at the most.")
    accounting_seconds: float = Field(
        5, gt=0, description="Seconds between two refreshes of the accounting metrics."
    )
