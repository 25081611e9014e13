"""`common.usage.UsageProjection`: absolute rows, of which the higher version stays."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from common.aggregates import combine
from common.contracts.rollups import Rollup, group_key
from common.periods import slot_of
from common.usage import Place, Usage, split


class ModelUsage:
    """The tables of hours, slots and members in `schema`, by (tenant, meter, ...). Days are made
    from hours in the same transaction and say the same, so the model keeps none."""

    def __init__(self, schema: str, *, days: bool = False) -> None:
        self._hours = f"{schema}.usage_hours"
        self._slots = f"{schema}.usage_slots"
        self._members = f"{schema}.usage_members"

    async def upsert(self, tx: Any, rollups: Sequence[Rollup]) -> None:
        if not rollups:
            return
        await tx.statement("usage: upsert")
        for one in rollups:
            place = (one.tenant, one.meter, group_key(one.group), one.shard)
            _take(tx, self._hours, (*place, one.hour), one, one.value)
            for slot in one.slots:
                _take(tx, self._slots, (*place, slot.start), one, slot.value)
                for member in slot.members:
                    key = (one.tenant, one.meter, slot.start, place[2], member)
                    tx.write(self._members, key, True)

    async def usages(self, connection: Any, places: Sequence[Place]) -> list[Usage]:
        if not places:
            return []
        await connection.statement("usage: of places")
        hours, slots = list(connection.scan(self._hours)), list(connection.scan(self._slots))
        return [self._usage(connection, hours, slots, place) for place in places]

    def _usage(self, connection: Any, hours: Any, slots: Any, place: Place) -> Usage:
        tenant, meter, start, end = place
        if start != slot_of(start) or end != slot_of(end):
            raise ValueError(f"[{start}, {end}) is not cut at slots")
        first, last = split(start, end)
        used = [
            (key, row)
            for key, row in hours
            if key[:2] == (tenant, meter) and first <= key[4] < last
        ]
        used += [
            (key, row)
            for key, row in slots
            if key[:2] == (tenant, meter)
            and (start <= key[4] < min(first, end) or last <= key[4] < end)
        ]
        versions: dict[int, int] = {}
        for key, (_, version, _) in used:
            versions[key[3]] = max(versions.get(key[3], 0), version)
        quantity = None
        if used and used[0][1][2] == "unique_count":
            members = {
                key[4]
                for key, _ in connection.scan(self._members)
                if key[:2] == (tenant, meter) and start <= key[2] < end
            }
            quantity = Decimal(len(members))
        elif used:
            quantity = combine(used[0][1][2], (value for _, (value, _, _) in used))
        count = sum(value.count for _, (value, _, _) in used)
        return Usage(quantity or Decimal(0), len(used), versions, count)


def _take(tx: Any, table: str, key: Any, rollup: Rollup, value: Any) -> None:
    known = tx.read(table, key)
    if known is None or rollup.version > known[1]:
        tx.write(table, key, (value, rollup.version, rollup.aggregation))
