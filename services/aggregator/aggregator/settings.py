"""What can be set from outside; every field is an environment variable TOLLGATE_<FIELD>."""

from typing import Final, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from common.settings import StreamSettings, UnsafeSettings

SLOT_DAYS_LEAST: Final = 60


class Settings(StreamSettings):
    """The aggregator's settings."""

    model_config = SettingsConfigDict(env_prefix="TOLLGATE_", extra="ignore")

    port: int = Field(default=8102, ge=0, le=65535, description="Port to listen on.")
    emit_seconds: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Changed rollups are published at most this often by a partition, in seconds.",
    )
    backfill_events: int = Field(
        default=5_000,
        ge=1,
        description="About how many old events a step folds into a new meter, beside its own.",
    )
    slot_retention_days: int = Field(
        default=0,
        ge=0,
        description=(
            "Slots of ten seconds, and members of unique_count meters, are forgotten after so"
            " many days; hours and days stay. 0: never. Otherwise at least 60: events may be 35"
            " days late, and a period is billed after its end."
        ),
    )
    unreadable_retention_days: int = Field(
        default=35, ge=1, description="Unreadable events are listed for so many days."
    )

    @model_validator(mode="after")
    def refuse_short_memory(self) -> Self:
        """Slots must outlive the events that may still change them, and a month's bill."""
        if 0 < self.slot_retention_days < SLOT_DAYS_LEAST:
            raise UnsafeSettings(
                f"refusing to forget slots after {self.slot_retention_days} days: set"
                f" TOLLGATE_SLOT_RETENTION_DAYS to 0 (never) or at least {SLOT_DAYS_LEAST}"
            )
        return self
