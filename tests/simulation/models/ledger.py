"""The ledger as rows of a model store, with the locks that the plain table takes."""

from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from ingest.ledger import Claim, Verdict
from tests.support import model_ledger

_LEDGER, _SHARDS = "ingest.ledger", "ingest.ledger.shards"


class ModelLedger:
    """`Ledger`; see `ingest.store.plain_ledger`."""

    def __init__(self) -> None:
        self._rows = model_ledger.ModelLedger()

    async def admit(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        await tx.statement("ledger: lock")
        for shard in sorted({claim.shard for claim in claims if claim.stamped}):
            await tx.lock(_SHARDS, shard)
        for key in sorted({(claim.day, claim.identity) for claim in claims}):
            await tx.lock(_LEDGER, key)
        await tx.statement("ledger: admit")
        return await self._rows.admit(_Rows(tx), partition, claims)

    async def decided(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[bool]:
        await tx.statement("ledger: what was decided")
        return await self._rows.decided(_Rows(tx), partition, claims)

    async def forget_before(self, tx: Any, day: int) -> int:
        await tx.statement("ledger: forget")
        return await self._rows.forget_before(_Rows(tx), day)


class _Rows(MutableMapping[Any, Any]):
    """The ledger's table as a transaction sees it."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx

    def __getitem__(self, key: Any) -> Any:
        row = self._tx.read(_LEDGER, key)
        if row is None:
            raise KeyError(key)
        return row

    def __setitem__(self, key: Any, row: Any) -> None:
        self._tx.write(_LEDGER, key, row)

    def __delitem__(self, key: Any) -> None:
        self._tx.remove(_LEDGER, key)

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._tx.scan(_LEDGER))

    def __len__(self) -> int:
        return sum(1 for _ in self)
