"""The packed ledger alone: a step's identities against an empty day and against a full one."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from struct import pack
from typing import Final

import asyncpg

from bench.contract import About, Measurement, Repetition
from bench.site import Meter, Site
from common.contracts.received import DIGEST_BYTES, IDENTITY_BYTES, EventColumns
from ingest.claims import Claims, Part
from ingest.ledger import Ledger, Verdict
from ingest.packed.ledger import PackedLedger

PER_ENVELOPE: Final = 500
ENVELOPES: Final = 20
PER_STEP: Final = PER_ENVELOPE * ENVELOPES
COPIES: Final = 0.05
"""Of an envelope's identities, those that the step before brought."""
SHARDS: Final = range(0, 256, 4)
"""Of the sources that come to one input partition of four."""
DAY: Final = 20_000


class LedgerAlone:
    """One process and one connection; a transaction a step, synchronous_commit on."""

    abouts = (
        About(
            name="ledger.admit",
            family="stages",
            unit="id",
            what="random ids in steps of 10,000 into an empty day, 5 % of them copies",
            ceilings=("postgres.copy",),
        ),
        About(
            name="ledger.admit.grown",
            family="stages",
            unit="id",
            what="the same into a day that is full (30 million ids; 1 million in the quick bench)",
            ceilings=("postgres.copy",),
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with site.ground("ledger", ["ingest"]) as ground:
            pool = await ground.pool("ingest")
            ledger = PackedLedger(memory_bytes=2**40)
            await fill(pool, site.scale.ids, day=DAY, seed=site.next_seed(), ledger=ledger)

            async def measure(number: int) -> Mapping[str, Measurement]:
                return {
                    "ledger.admit": await _admit(site, pool, ledger, DAY + 2 + number),
                    "ledger.admit.grown": await _admit(site, pool, ledger, DAY),
                }

            yield measure


async def fill(
    pool: asyncpg.Pool, ids: int, *, day: int, seed: int, ledger: Ledger | None = None
) -> None:
    """Put `ids` random identities of a day into the ledger, as the deduper would."""
    ledger = ledger or PackedLedger(memory_bytes=2**40)
    chance = Random(seed)
    for number in range(-(-ids // PER_STEP)):
        step = _step(_identities(chance), offset=number * ENVELOPES, day=day)
        async with pool.acquire() as connection, connection.transaction():
            await ledger.admit(connection, 0, step)


async def _admit(site: Site, pool: asyncpg.Pool, ledger: Ledger, day: int) -> Measurement:
    chance = Random(site.next_seed())
    first = site.seed << 32 | site.serial << 20
    steps, before = [], _identities(chance)
    count = max(2, site.scale.events // PER_STEP)
    for number in range(count):
        fresh = _identities(chance)
        copied = int(PER_ENVELOPE * COPIES) * IDENTITY_BYTES
        if number:
            fresh = [old[:copied] + new[copied:] for old, new in zip(before, fresh, strict=True)]
        steps.append(_step(fresh, offset=first + number * ENVELOPES, day=day))
        before = fresh
    admitted = 0
    meter = Meter(site)
    began = time.perf_counter()
    for step in steps:
        async with pool.acquire() as connection, connection.transaction():
            verdicts = await ledger.admit(connection, 0, step)
        admitted += verdicts.count(Verdict.FRESH)
    seconds = time.perf_counter() - began
    distinct = count * PER_STEP - (count - 1) * ENVELOPES * int(PER_ENVELOPE * COPIES)
    return Measurement(
        units=count * PER_STEP,
        seconds=seconds,
        cpu_seconds=meter.cpu_seconds(),
        rss_bytes=meter.rss_bytes(),
        faults=[] if admitted == distinct else [f"{admitted} admitted, not {distinct}"],
    )


def _identities(chance: Random) -> list[bytes]:
    """Those of a step, by envelope."""
    return [chance.randbytes(PER_ENVELOPE * IDENTITY_BYTES) for _ in range(ENVELOPES)]


def _step(identities: Sequence[bytes], *, offset: int, day: int) -> Claims:
    """Claims of envelopes from `offset` on; equal identities have equal contents."""
    blank = bytes(PER_ENVELOPE)
    parts = []
    for number, some in enumerate(identities):
        events = EventColumns(
            value=b"",
            bounds=[],
            identities=some,
            digests=some[: PER_ENVELOPE * DIGEST_BYTES],
            days=pack("<i", day) * PER_ENVELOPE,
            shards=blank,
            flags=blank,
            places=b"",
        )
        parts.append(Part(offset + number, events, None, SHARDS[number % len(SHARDS)]))
    return Claims(parts)
