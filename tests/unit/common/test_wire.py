"""Contracts on the bus: versions are checked, unknown fields are passed over, bytes are stable."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from common.contracts import wire
from common.contracts.charges import Charge
from common.contracts.decisions import Decision
from common.contracts.invoices import InvoiceChange
from common.contracts.meters import Meter
from common.contracts.rollups import Aggregate, Rollup, rollup_record
from common.contracts.tenants import Tenant
from common.contracts.topics import ALL_TOPICS, partition_for, shard_of
from common.contracts.wire import UnknownVersion

AT = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES: list[wire.Contract] = [
    Meter(slug="requests", event_type="http.request", aggregation="count", group_by={"a": "b.c"}),
    Tenant(key="t", name="T", currency="EUR", timezone="UTC", billing_day=31),
    Rollup(
        tenant="t",
        meter="m",
        aggregation="sum",
        unit="B",
        group={"b": "1", "a": "2"},
        hour=AT,
        shard=1,
        version=7,
        value=Aggregate(count=1, sum=Decimal("0.100000000000000001")),
    ),
    Charge(
        id="c",
        tenant="t",
        subscription="s",
        plan="p",
        plan_version=1,
        price="x",
        period_from=AT,
        period_to=AT,
        quantity=Decimal("1E+3"),
        amount=Decimal("-0.5"),
        currency="EUR",
        version=1,
    ),
    InvoiceChange(
        tenant="t",
        invoice="i",
        state="draft",
        currency="EUR",
        total=Decimal(1),
        period_from=AT,
        period_to=AT,
        at=AT,
    ),
    Decision(tenant="t", state="deny", revision=1, decided_at=AT, status=429),
]
BY_KIND = pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)


@BY_KIND
def test_what_is_written_is_read(value: wire.Contract) -> None:
    data = wire.encode(value)
    assert wire.decode(type(value), data) == value
    assert wire.encode(wire.decode(type(value), data)) == data
    assert b"E+" not in data or isinstance(msgspec.json.decode(data)["quantity"], str)


def changed(value: wire.Contract, **fields: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(wire.encode(value)) | fields)


@BY_KIND
def test_an_unknown_version_stops_the_reader(value: wire.Contract) -> None:
    with pytest.raises(UnknownVersion):
        wire.decode(type(value), changed(value, v=value.v + 1))


@BY_KIND
def test_an_unknown_field_is_passed_over(value: wire.Contract) -> None:
    assert wire.decode(type(value), changed(value, of_the_future={"a": [1]})) == value


def test_a_record_of_rollups_goes_by_tenant_and_its_key_names_the_row() -> None:
    rollup = next(value for value in EXAMPLES if isinstance(value, Rollup))
    partition, record = rollup_record(rollup, 4)
    turned = msgspec.structs.replace(rollup, group={"a": "2", "b": "1"}, version=8)
    assert partition == partition_for("t", 4)
    assert rollup_record(turned, 4)[1].key == record.key


def test_doubling_partitions_keeps_every_shard() -> None:
    for key in map(str, range(200)):
        for count in (1, 2, 4, 8, 16, 128):
            assert partition_for(key, 2 * count) % count == partition_for(key, count)
        assert shard_of(key) == partition_for(key, 256)
    for count in (0, 3, 512, -1):
        with pytest.raises(ValueError, match="power of two"):
            partition_for("a", count)


def test_compacted_topics_wait_as_long_as_the_others_are_kept() -> None:
    for topic in ALL_TOPICS:
        config = topic.config()
        assert config["message.timestamp.type"] == "LogAppendTime"
        kept = "min.compaction.lag.ms" if topic.compacted else "retention.ms"
        assert int(config[kept]) >= 7 * 24 * 3_600_000
