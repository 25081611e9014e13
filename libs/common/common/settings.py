"""Settings that every service has. Each is an environment variable with the prefix TOLLGATE_."""

import os
import re
import socket
from ipaddress import ip_address
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class UnsafeSettings(SystemExit):
    """The configuration would be unsafe to run; the message says what to change."""


class ServiceSettings(BaseSettings):
    """What any Tollgate process needs to know."""

    model_config = SettingsConfigDict(env_prefix="TOLLGATE_", extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on.")
    auth_tokens: dict[str, list[str]] = Field(
        default_factory=dict,
        description=(
            "Bearer tokens that may call, as JSON: SHA-256 of the token (hex) to its scopes;"
            ' the scope "*" allows everything. Empty: no authentication, which is refused'
            " unless the service listens on loopback."
        ),
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        description=(
            "Name of this process in leases. Keep it the same over restarts and unique among"
            " processes: a restarted worker takes its own partitions back at once."
        ),
    )

    @model_validator(mode="after")
    def refuse_open_door(self) -> Self:
        """Without tokens, only loopback may be listened on; a token is a digest, never itself."""
        for hexed in self.auth_tokens:
            if not re.fullmatch("[0-9a-fA-F]{64}", hexed):
                raise UnsafeSettings(
                    "TOLLGATE_AUTH_TOKENS must name tokens by their SHA-256 in 64 hex digits,"
                    " not by themselves"
                )
        if not self.auth_tokens and not is_loopback(self.host):
            raise UnsafeSettings(
                f"refusing to listen on {self.host} without authentication: set"
                " TOLLGATE_AUTH_TOKENS, or TOLLGATE_HOST=127.0.0.1"
            )
        return self


class StreamSettings(ServiceSettings):
    """What a process needs that works with Kafka and PostgreSQL."""

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port,...")
    topic_prefix: str = Field(
        "", description="Stands before every topic name, so that deployments can share a cluster."
    )
    database_url: str = Field(
        "postgresql://127.0.0.1:5432/tollgate",
        description="PostgreSQL, as the service's own role, which owns nothing.",
    )
    migrations_url: str = Field(
        "", description="PostgreSQL, as the owner of the schema; only `migrate` uses it."
    )
    lease_seconds: float = Field(
        10, gt=0, description="A worker that is silent for this long loses its partitions."
    )


class PeerSettings(BaseSettings):
    """Where the other services are."""

    model_config = SettingsConfigDict(env_prefix="TOLLGATE_", extra="ignore")

    collector_url: str = Field("http://127.0.0.1:8100", description="The collector's address.")
    ingest_url: str = Field("http://127.0.0.1:8101", description="The ingest API's address.")
    aggregator_url: str = Field("http://127.0.0.1:8102", description="The aggregator's address.")
    rating_url: str = Field("http://127.0.0.1:8103", description="Rating's address.")
    invoicer_url: str = Field("http://127.0.0.1:8104", description="The invoicer's address.")
    throttler_url: str = Field("http://127.0.0.1:8105", description="The throttler's address.")
    peer_token: str = Field("", description="Bearer token to call the other services with.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
