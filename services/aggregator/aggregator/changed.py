"""What a shard has changed since it was last published, from the answers to its own writes. Pure.

The owner is the only one that writes, so nothing has to be read back. This dies with the claim;
the next owner begins with the lists that the steps left in the database.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from aggregator.compile import CompiledMeter
from aggregator.fold import SeriesKey
from aggregator.store.rollups import Written
from common.contracts.rollups import Aggregate, Rollup, Slot

PAGE_ROLLUPS = 2_000


class Changes:
    """Changed hours of `shard` with their changed slots and new members; values are absolute."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._keys: dict[int, SeriesKey] = {}
        self._hours: dict[tuple[int, datetime], tuple[int, Aggregate]] = {}
        self._slots: dict[tuple[int, datetime], dict[datetime, Aggregate]] = {}
        self._members: dict[tuple[int, datetime], list[str]] = {}

    def add(self, written: Written, version: int, keys: Mapping[int, SeriesKey]) -> None:
        """Take in what a step wrote under `version`. `keys`: its series by their ids."""
        self._keys.update(keys)
        hours: dict[datetime, datetime] = {}
        for series, hour, value in written.hours:
            self._hours[series, hour] = (version, value)
        for series, slot, value in written.slots:
            hour = hours.get(slot) or hours.setdefault(slot, _hour_of(slot))
            self._slots.setdefault((series, hour), {})[slot] = value
        for series, slot, member in written.members:
            self._members.setdefault((series, slot), []).append(member)

    def pages(self, meters: Mapping[str, CompiledMeter]) -> Iterator[list[Rollup]]:
        """The rollups to publish, some thousands at a time."""
        page: list[Rollup] = []
        for (series, hour), (version, value) in self._hours.items():
            key = self._keys[series]
            compiled = meters[key.meter]
            page.append(
                Rollup(
                    tenant=key.tenant,
                    meter=key.meter,
                    aggregation=compiled.meter.aggregation,
                    unit=compiled.meter.unit,
                    group=dict(zip(compiled.names, key.group, strict=True)),
                    hour=hour,
                    shard=self._shard,
                    version=version,
                    value=value,
                    slots=[
                        Slot(
                            start=slot,
                            value=its_value,
                            members=sorted(self._members.get((series, slot), ())),
                        )
                        for slot, its_value in sorted(self._slots[series, hour].items())
                    ],
                )
            )
            if len(page) == PAGE_ROLLUPS:
                yield page
                page = []
        if page:
            yield page


def _hour_of(slot: datetime) -> datetime:
    return slot.replace(minute=0, second=0, microsecond=0)
