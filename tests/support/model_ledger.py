"""The ledger as a dictionary: what the others are compared with."""

from collections.abc import MutableMapping, Sequence

from ingest.ledger import Claim, Verdict

Rows = MutableMapping[tuple[int, bytes], tuple[tuple[int, int, int], bytes]]
"""Origin and digest of the first copy, by day and identity."""


class ModelLedger:
    """A transaction is the dictionary itself."""

    async def admit(self, tx: Rows, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        verdicts = [Verdict.FRESH] * len(claims)
        order = sorted(range(len(claims)), key=lambda n: (claims[n].offset, claims[n].number))
        timed = [n for n in order if not claims[n].stamped]
        for n in timed:
            verdicts[n] = _first_of_day(tx, partition, claims[n])
        stamped = [n for n in order if claims[n].stamped]
        for day in sorted({claims[n].day for n in stamped}):
            of_day = [n for n in stamped if claims[n].day == day]
            beside = {n: _beside(tx, partition, claims[n]) for n in of_day}
            for n in of_day:
                verdicts[n] = beside[n] or _first_of_day(tx, partition, claims[n])
        return verdicts

    async def decided(self, tx: Rows, partition: int, claims: Sequence[Claim]) -> list[bool]:
        return [_is_own(tx, partition, claim) for claim in claims]

    async def forget_before(self, tx: Rows, day: int) -> int:
        old = [key for key in tx if key[0] < day]
        for key in old:
            del tx[key]
        return len(old)


def _is_own(tx: Rows, partition: int, claim: Claim) -> bool:
    row = tx.get((claim.day, claim.identity))
    return row is not None and row[0] == (partition, claim.offset, claim.number)


def _first_of_day(tx: Rows, partition: int, claim: Claim) -> Verdict:
    origin = (partition, claim.offset, claim.number)
    row = tx.setdefault((claim.day, claim.identity), (origin, claim.digest))
    if row[0] == origin:
        return Verdict.FRESH
    return Verdict.DUPLICATE if row[1] == claim.digest else Verdict.CONFLICT


def _beside(tx: Rows, partition: int, claim: Claim) -> Verdict | None:
    """The verdict by the days beside the claim's own, unless it was admitted on its own."""
    if _is_own(tx, partition, claim):
        return None
    rows = [tx.get((day, claim.identity)) for day in (claim.day - 1, claim.day + 1)]
    digests = {row[1] for row in rows if row is not None}
    if not digests:
        return None
    return Verdict.DUPLICATE if digests == {claim.digest} else Verdict.CONFLICT
