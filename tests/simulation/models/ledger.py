"""The ledger as a dict: {(day, identity): (digest, partition, offset, number)}."""

from collections.abc import Sequence
from typing import Any

from ingest.ledger import Claim, Verdict

_LEDGER, _STAMPED = "ingest.ledger", "ingest.ledger.stamped"
_Numbered = tuple[int, Claim]


class ModelLedger:
    """`Ledger`, as `ingest.store.plain_ledger` keeps it."""

    async def admit(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        verdicts = [Verdict.FRESH] * len(claims)
        timed = [item for item in enumerate(claims) if not item[1].stamped]
        await _admit(tx, partition, timed, verdicts)
        stamped = [item for item in enumerate(claims) if item[1].stamped]
        if stamped:
            await tx.statement("ledger: lock stamped")
            for identity in sorted({claim.identity for _, claim in stamped}):
                await tx.lock(_STAMPED, identity)
        for day in sorted({claim.day for _, claim in stamped}):
            await tx.statement("ledger: the days beside")
            alone = []
            for n, claim in (item for item in stamped if item[1].day == day):
                beside = _beside(tx, partition, claim)
                if beside:
                    same = all(digest == claim.digest for digest in beside)
                    verdicts[n] = Verdict.DUPLICATE if same else Verdict.CONFLICT
                else:
                    alone.append((n, claim))
            await _admit(tx, partition, alone, verdicts)
        return verdicts

    async def decided(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[bool]:
        await tx.statement("ledger: what was decided")
        return [_is_held(tx, partition, claim) for claim in claims]

    async def forget_before(self, tx: Any, day: int) -> int:
        await tx.statement("ledger: forget")
        old = [key for key, _ in tx.scan(_LEDGER) if key[0] < day]
        for key in old:
            tx.remove(_LEDGER, key)
        return len(old)


async def _admit(
    tx: Any, partition: int, items: Sequence[_Numbered], verdicts: list[Verdict]
) -> None:
    if not items:
        return
    await tx.statement("ledger: admit")
    first_first = sorted((c.day, c.identity, c.offset, c.number, c.digest) for _, c in items)
    for day, identity, offset, number, digest in first_first:
        key = (day, identity)
        if tx.read(_LEDGER, key) is None:
            await tx.lock(_LEDGER, key)
        if tx.read(_LEDGER, key) is None:
            tx.write(_LEDGER, key, (digest, partition, offset, number))
    for n, claim in items:
        if not _is_held(tx, partition, claim):
            same = tx.read(_LEDGER, (claim.day, claim.identity))[0] == claim.digest
            verdicts[n] = Verdict.DUPLICATE if same else Verdict.CONFLICT


def _is_held(tx: Any, partition: int, claim: Claim) -> bool:
    row = tx.read(_LEDGER, (claim.day, claim.identity))
    return row is not None and row[1:] == (partition, claim.offset, claim.number)


def _beside(tx: Any, partition: int, claim: Claim) -> list[bytes]:
    """The digests of copies a day before and after; none for a claim that was admitted."""
    if _is_held(tx, partition, claim):
        return []
    rows = (tx.read(_LEDGER, (day, claim.identity)) for day in (claim.day - 1, claim.day + 1))
    return [row[0] for row in rows if row is not None]
