"""catalog.meters: the current definition of each meter."""

from common.bus.types import Record
from common.contracts import wire


class Meter(wire.Contract, frozen=True, kw_only=True):
    """How events of one type become usage.

    `value` and the paths in `group_by` (dimension name to path) are dotted paths inside `data`;
    a count needs no value. `revision` grows with every change of any meter.
    """

    slug: str
    event_type: str
    aggregation: str
    value: str | None = None
    group_by: dict[str, str] = {}
    unit: str = ""
    revision: int = 0


def meter_record(meter: Meter) -> Record:
    """The record of a meter, under its slug."""
    return wire.record(meter.slug, meter)
