"""Meter definitions: what may be one, and what would change its meaning."""

from typing import Any

import msgspec
import pytest

from aggregator.meters import BadMeter, changed_meaning, define, same
from common.contracts.meters import Meter


def a_meter(**changes: Any) -> Meter:
    fields: dict[str, Any] = {
        "slug": "bytes_out",
        "event_type": "http.request",
        "aggregation": "sum",
        "value": "response.bytes",
        "group_by": {"route": "route", "area": "edge.region"},
        "unit": "bytes",
    }
    return define(**(fields | changes))


def test_a_definition_becomes_a_meter_with_its_dimensions_in_order() -> None:
    meter = a_meter()
    assert meter.revision == 0
    assert list(meter.group_by) == ["area", "route"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("slug", {"slug": ""}),
        ("slug", {"slug": "Bytes"}),
        ("slug", {"slug": "-bytes"}),
        ("slug", {"slug": "a" * 64}),
        ("slug", {"slug": "a/b"}),
        ("event_type", {"event_type": ""}),
        ("event_type", {"event_type": "a" * 257}),
        ("event_type", {"event_type": "a\nb"}),
        ("unit", {"unit": "u" * 33}),
        ("aggregation", {"aggregation": "median"}),
        ("value", {"value": None}),
        ("value", {"aggregation": "count"}),
        ("value", {"value": ""}),
        ("value", {"value": "a..b"}),
        ("value", {"value": "data.bytes"}),
        ("value", {"value": "$.bytes"}),
        ("value", {"value": ".".join("abcdefghi")}),
        ("value", {"value": "x" * 129}),
        ("group_by", {"group_by": {f"d{n}": "x" for n in range(9)}}),
        ("group_by", {"group_by": {"Region": "x"}}),
        ("group_by", {"group_by": {"": "x"}}),
        ("group_by.route", {"group_by": {"route": ""}}),
    ],
)
def test_what_cannot_be_a_meter_names_the_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadMeter) as caught:
        a_meter(**changes)
    assert caught.value.field == field


def test_a_field_named_data_may_be_read_by_itself() -> None:
    assert a_meter(value="data").value == "data"


def test_a_meter_equals_itself_under_another_revision() -> None:
    assert same(msgspec.structs.replace(a_meter(), revision=7), a_meter())
    assert not same(a_meter(), a_meter(unit="kB"))


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"event_type": "other"}, ["event_type"]),
        ({"aggregation": "max"}, ["aggregation"]),
        ({"value": "bytes"}, ["value"]),
        ({"group_by": {"route": "route"}}, ["group_by"]),
        ({"unit": "octets"}, []),
    ],
)
def test_all_but_the_unit_is_meaning(changes: dict[str, Any], changed: list[str]) -> None:
    assert changed_meaning(a_meter(), a_meter(**changes)) == changed
