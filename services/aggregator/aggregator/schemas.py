"""What the aggregator's API accepts and returns. Decimals are strings, times are UTC."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from common.aggregates import AGGREGATIONS
from common.contracts.meters import Meter


class MeterDefinition(BaseModel):
    """How events of one type become usage."""

    model_config = ConfigDict(extra="forbid")

    slug: StrictStr | None = Field(default=None, description="If given, that of the path.")
    event_type: StrictStr = Field(description="CloudEvents `type` of the events to read.")
    aggregation: StrictStr = Field(
        description="How events add up.", json_schema_extra={"enum": list(AGGREGATIONS)}
    )
    value: StrictStr | None = Field(
        default=None, description="Dotted path inside `data`; a count has none."
    )
    group_by: dict[StrictStr, StrictStr] = Field(
        default_factory=dict, description="Dimension names to dotted paths inside `data`."
    )
    unit: StrictStr = Field(default="", description="What one of it is called: requests, bytes.")


class MeterView(BaseModel):
    """A meter. `revision` grows with every change of any meter."""

    slug: str
    event_type: str
    aggregation: str
    value: str | None
    group_by: dict[str, str]
    unit: str
    revision: int

    @classmethod
    def of(cls, meter: Meter) -> "MeterView":
        return cls(
            slug=meter.slug,
            event_type=meter.event_type,
            aggregation=meter.aggregation,
            value=meter.value,
            group_by=meter.group_by,
            unit=meter.unit,
            revision=meter.revision,
        )


class BackfillView(BaseModel):
    """How far usage from before the meter existed has been folded.

    `partitions`: how many of the event partitions have taken the meter up.
    """

    partitions: int
    records_left: int


class MeterDetail(MeterView):
    """A meter with the state of its backfill."""

    backfill: BackfillView


class MeterPage(BaseModel):
    items: list[MeterView]
    next: str | None


class UnreadableView(BaseModel):
    """An event that the meter could not read. `found`: what stood at the path, as JSON."""

    source: str
    id: str
    tenant: str
    time: datetime
    reason: str
    message: str
    found: str
    noted_at: datetime


class UnreadablePage(BaseModel):
    items: list[UnreadableView]
    next: str | None


class UsageItem(BaseModel):
    """Usage of one tenant and group in [from, to)."""

    model_config = ConfigDict(populate_by_name=True)

    tenant: str
    from_: datetime = Field(alias="from")
    to: datetime
    group: dict[str, str]
    value: str | None


class UsagePage(BaseModel):
    """`as_of`: everything received before it is in the values; null until that is known."""

    meter: str
    unit: str
    window: str
    as_of: datetime | None
    items: list[UsageItem]
    next: str | None


class BehindItem(BaseModel):
    """An event behind usage. `value`: what it adds to the meter's sum, its number, or a hash of
    the member of a unique_count. `partition`, `offset`: its record in usage.events."""

    source: str
    id: str
    time: datetime
    group: dict[str, str]
    value: str
    partition: int
    offset: int


class BehindPage(BaseModel):
    """`next` may come with few items, or none: a page ends when enough of the log has been looked
    at. `is_whole`: nothing that could belong here had been dropped by Kafka's retention."""

    meter: str
    tenant: str
    is_whole: bool
    items: list[BehindItem]
    next: str | None


class PartitionView(BaseModel):
    """Where the fold of one event partition stands."""

    partition: int
    watermark: datetime | None
    next_offset: int


class WatermarkView(BaseModel):
    """`watermark`: the least of the partitions'; null while one of them has none."""

    watermark: datetime | None
    partitions: list[PartitionView]
