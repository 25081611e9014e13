"""Settings of the throttler, beside those that every service has (common.settings)."""

from pydantic import Field

from common.settings import PeerSettings, StreamSettings


class Settings(StreamSettings, PeerSettings):
    """Environment variables with the prefix TOLLGATE_."""

    port: int = Field(8105, ge=0, le=65535, description="Port to listen on.")
    database_url: str = Field(
        "postgresql://throttler@127.0.0.1:5432/tollgate",
        description="PostgreSQL, as the role `throttler`, which owns nothing.",
    )
    tick_seconds: float = Field(
        0.2,
        gt=0,
        description=(
            "How soon changed rules, tenants and ended windows are looked at; while much usage"
            " comes in, up to a second later."
        ),
    )
    feed_seconds: float = Field(
        0.2, gt=0, description="How often an API process looks for new decisions."
    )
    heartbeat_seconds: float = Field(
        3.0, gt=0, description="Pause between heartbeats to the edges that follow by SSE."
    )
