"""The packed ledger: one row a step and group instead of one an event.

docs/decisions/0011-packed-ledger.md says why it is exact.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from ingest import metrics
from ingest.ledger import Claim, Verdict
from ingest.packed.blocks import Block, Indices
from ingest.packed.columns import Columns, columns_of
from ingest.packed.judge import Verdicts, judge, judge_by_neighbours, order_of
from ingest.packed.memory import Memory
from ingest.packed.view import View, open_view
from ingest.store import ledger_blocks, plain_ledger
from ingest.store.ledger_blocks import GROUPS

_VERDICTS: Final = tuple(Verdict)


class PackedLedger:
    """`Ledger` in `ingest.ledger_blocks`. One of a process, for all its partitions.

    Claims of one group take turns by locking it; under the lock, memory is brought up to what the
    group holds before anything is decided. `memory_bytes`: for fingerprints of the days in use;
    `cache_bytes`: for whole blocks; looked after every `trim_seconds`. Rows of the plain ledger
    are asked as long as there are any.
    """

    def __init__(
        self,
        *,
        memory_bytes: int = 512 * 1024**2,
        cache_bytes: int = 64 * 1024**2,
        trim_seconds: float = 1,
    ) -> None:
        self._memory = Memory(bytes_max=memory_bytes, cache_bytes=cache_bytes)
        self._plain_days: range | None = None
        self._trim_seconds, self._trimmed_at = trim_seconds, 0.0

    async def admit(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        if not claims:
            return []
        columns = columns_of(claims, partition, GROUPS)
        view = await self._view(tx, columns)
        verdicts = np.zeros(len(claims), np.int8)
        for grp, day, chosen in _by_group_and_day(columns, np.flatnonzero(~columns.stamped)):
            await _admit(view, grp, day, columns.rows, chosen, verdicts)
        # Day by day, so that a stamped copy finds one that was stamped the day before.
        for grp, day, chosen in _by_group_and_day(columns, np.flatnonzero(columns.stamped)):
            left = await _ask_neighbours(view, grp, day, columns.rows, chosen, verdicts)
            await _admit(view, grp, day, columns.rows, left, verdicts)
        await view.write()
        self._trim()
        return [_VERDICTS[verdict] for verdict in verdicts.tolist()]

    async def decided(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[bool]:
        if not claims:
            return []
        columns = columns_of(claims, partition, GROUPS)
        view = await self._view(tx, columns)
        own = np.zeros(len(claims), np.bool_)
        for grp, day, chosen in _by_group_and_day(columns, np.arange(len(claims))):
            rows = columns.rows.take(chosen)
            own[chosen] = (await view.find(grp, day, rows)).own(rows)
        self._trim()
        answer: list[bool] = own.tolist()
        return answer

    async def forget_before(self, tx: Any, day: int) -> int:
        self._memory.forget_before(day)
        self._trim()
        gone = await ledger_blocks.forget_before(tx, day)
        if not gone:
            gone = await plain_ledger.PlainLedger().forget_before(tx, day)
            self._plain_days = None
        return gone

    async def _view(self, tx: Any, columns: Columns) -> View:
        if self._plain_days is None:
            self._plain_days = await plain_ledger.days(tx)
        return await open_view(
            tx, self._memory, np.unique(columns.groups).tolist(), self._plain_days
        )

    def _trim(self) -> None:
        """Keep within bounds, and say what is held."""
        now = time.monotonic()
        if now - self._trimmed_at < self._trim_seconds:
            return
        self._trimmed_at = now
        metrics.LEDGER_BYTES.set(self._memory.trim())
        days = self._memory.days
        metrics.LEDGER_DAYS.set(len(days))
        metrics.LEDGER_BLOCKS.set(sum(len(day.addresses) for day in days))


async def _admit(
    view: View, grp: int, day: int, rows: Block, chosen: Indices, verdicts: Verdicts
) -> None:
    """Judge the `chosen` claims by their own day, and remember the fresh ones."""
    chosen = chosen[order_of(rows.take(chosen))]
    mine = rows.take(chosen)
    found = await view.find(grp, day, mine)
    verdicts[chosen], new = judge(mine, found)
    view.add(grp, day, mine.take(new))


async def _ask_neighbours(
    view: View, grp: int, day: int, rows: Block, chosen: Indices, verdicts: Verdicts
) -> Indices:
    """Judge those of the `chosen` claims whose first copy lies beside their day; returns the
    rest."""
    mine = rows.take(chosen)
    judged, decided = judge_by_neighbours(
        mine,
        await view.find(grp, day, mine),
        await view.find(grp, day - 1, mine),
        await view.find(grp, day + 1, mine),
    )
    verdicts[chosen[decided]] = judged[decided]
    return chosen[~decided]


def _by_group_and_day(columns: Columns, chosen: Indices) -> Iterator[tuple[int, int, Indices]]:
    """The `chosen` claims of each group and day, earlier days first."""
    keys = columns.days[chosen] * GROUPS + columns.groups[chosen]
    for key in np.unique(keys).tolist():
        yield key % GROUPS, key // GROUPS, chosen[keys == key]
