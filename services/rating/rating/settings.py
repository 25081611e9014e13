"""Settings of rating, beside those that every service has (common.settings)."""

from pydantic import Field

from common.settings import PeerSettings, StreamSettings


class Settings(StreamSettings, PeerSettings):
    """Environment variables with the prefix TOLLGATE_."""

    port: int = Field(8103, ge=0, le=65535, description="Port to listen on.")
    database_url: str = Field(
        "postgresql://rating@127.0.0.1:5432/tollgate",
        description="PostgreSQL, as the role `rating`, which owns nothing.",
    )
    rate_seconds: float = Field(
        0.25,
        gt=0,
        description=(
            "Subscriptions whose usage changed are rated at most this often; also how soon a new"
            " period or a changed subscription is noticed. While much usage comes in, both take up"
            " to a second longer."
        ),
    )
    rate_subscriptions: int = Field(
        1000, ge=1, description="How many subscriptions are rated in one transaction at the most."
    )
