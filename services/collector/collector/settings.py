"""Settings of the collector, each an environment variable with the prefix TOLLGATE_."""

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field

from collector.tail.mapping import LineMapping
from common.settings import PeerSettings, ServiceSettings


class Settings(ServiceSettings, PeerSettings):
    """What one edge node needs to know. It needs neither Kafka nor PostgreSQL."""

    port: int = Field(8100, ge=0, le=65535, description="Port to listen on.")
    node: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f\x7f/]+$",
        description="Name of this node; unique among all nodes, fixed for the life of a spool.",
    )
    spool_dir: Path = Field(
        Path(".stack/collector"),
        description="Directory of the spool and the decisions; its disk must keep what it fsyncs.",
    )
    spool_max_bytes: int = Field(
        4 << 30, ge=1 << 20, description="Disk budget of the spool in bytes; then 503 spool_full."
    )
    spool_min_free_bytes: int = Field(
        64 << 20, ge=0, description="Free bytes to leave on the spool's file system."
    )
    nginx_log: Path | None = Field(
        None, description="nginx's JSON access log to tail; unset: no tail."
    )
    nginx_log_from: Literal["beginning", "end"] = Field(
        "beginning",
        description=(
            'Where a fresh spool begins to read the log; "end" when its lines were metered before.'
        ),
    )
    nginx_event_type: str = Field(
        "http.request", min_length=1, max_length=256, description="Type of the log's events."
    )
    nginx_tenant_field: str = Field("tenant", description="Field that holds the tenant's key.")
    nginx_msec_field: str = Field("msec", description="Field that holds nginx's $msec.")
    nginx_status_field: str = Field("status", description="Field that holds the status.")
    nginx_gate_field: str = Field(
        "gate", description='Field that holds "deny" when the gate refused the request.'
    )
    nginx_data_fields: dict[str, str] = Field(
        default_factory=lambda: dict(LineMapping().data),
        description="As JSON: name in the event's data to field of the line.",
    )
    nginx_unbilled_statuses: frozenset[int] = Field(
        LineMapping().unbilled_statuses,
        description="As JSON: statuses whose lines are no usage.",
    )
    nginx_rotated_patience_seconds: float = Field(
        60, gt=0, description="A rotated log is closed after this long without growth."
    )
    seal_margin_seconds: float = Field(
        1.0,
        ge=0,
        description=(
            "How far sealed_through stays behind: more than the time between a log line's own"
            " time and its being in the file (raise it with access_log ... flush=)."
        ),
    )
    ship_linger_seconds: float = Field(
        0.1, gt=0, description="How long events wait for company in a batch."
    )
    ship_heartbeat_seconds: float = Field(
        0.8, gt=0, description="Longest silence towards ingest while there is nothing to send."
    )
    ship_timeout_seconds: float = Field(
        20, gt=0, description="Time for ingest to answer one batch; then it is sent again."
    )
    decisions_silence_seconds: int = Field(
        30, gt=0, description="Silence of the throttler after which failure policies apply."
    )

    def line_mapping(self) -> LineMapping:
        """How lines of the log become usage."""
        return LineMapping(
            event_type=self.nginx_event_type,
            tenant=self.nginx_tenant_field,
            msec=self.nginx_msec_field,
            status=self.nginx_status_field,
            gate=self.nginx_gate_field,
            data=self.nginx_data_fields,
            unbilled_statuses=self.nginx_unbilled_statuses,
        )
