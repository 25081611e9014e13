"""Protections that no change of one line removes."""

from typing import Any

from common.stream import Partition
from ingest.worker import Deduper


def remember_after_the_step() -> None:
    """The ledger learns in a transaction of its own, behind the step, what the step decided."""
    init, emit = Deduper.__init__, Deduper.emit

    class Behind:
        def __init__(self, ledger: Any) -> None:
            self._ledger = ledger
            self.decided = ledger.decided
            self.waiting: list[tuple[int, Any]] = []

        async def admit(self, tx: Any, partition: int, claims: Any) -> Any:
            class Forgetful(type(tx)):  # type: ignore[misc]
                def write(self, table: str, key: Any, value: Any) -> None:
                    own[table, key] = value

                def read(self, table: str, key: Any, default: Any = None) -> Any:
                    known = super().read(table, key, default)
                    return own.get((table, key), known)

            own: dict[Any, Any] = {}
            self.waiting.append((partition, claims))
            return await self._ledger.admit(Forgetful(tx._session), partition, claims)

    def behind(self: Deduper, **given: Any) -> None:
        init(self, **given | {"ledger": Behind(given["ledger"])})

    async def remember(self: Deduper, part: Partition, effect: Any) -> None:
        ledger: Any = self._ledger
        for partition, claims in [one for one in ledger.waiting if one[0] == part.number]:
            async with part.connection.transaction() as tx:
                await ledger._ledger.admit(tx, partition, claims)
            ledger.waiting.remove((partition, claims))
        await emit(self, part, effect)

    Deduper.__init__ = behind  # type: ignore[method-assign]
    Deduper.emit = remember  # type: ignore[method-assign]
