"""`ingest.store.nodes`: {(node, epoch): progress} and {(node, epoch, first_seq): run}."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingest.sequence import NodeSequence
from ingest.store.nodes import NodeKey, Run, Seen, split_digests

PROGRESS = "ingest.node_progress"
_BATCHES = "ingest.node_batches"


async def load_sequences(tx: Any, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeSequence]:
    await tx.statement("nodes: load sequences")
    rows = {key: tx.read(PROGRESS, key) for key in keys}
    return {key: seen.sequence for key, seen in rows.items() if seen is not None}


async def load_digests(tx: Any, key: NodeKey, first_seq: int, last_seq: int) -> dict[int, bytes]:
    await tx.statement("nodes: load digests")
    return {
        seq: digest
        for (*owner, first), (run, _) in tx.scan(_BATCHES)
        if tuple(owner) == key
        for seq, digest in enumerate(split_digests(run.digests), first)
        if first_seq <= seq <= last_seq
    }


async def save(tx: Any, seen: Mapping[NodeKey, Seen]) -> None:
    await tx.statement("nodes: save")
    for key, new in seen.items():
        known = tx.read(PROGRESS, key)
        seal, received = new.sealed_through_ms, new.sealed_received_ms
        last_seen_ms = new.last_seen_ms
        if known is not None:
            if seal is None or seal <= (known.sealed_through_ms or -1):
                seal, received = known.sealed_through_ms, known.sealed_received_ms
            last_seen_ms = max(last_seen_ms, known.last_seen_ms)
        tx.write(PROGRESS, key, Seen(new.sequence, last_seen_ms, seal, received))


async def save_runs(tx: Any, partition: int, runs: Sequence[Run]) -> None:
    await tx.statement("nodes: save runs")
    for run in runs:
        key = (run.node, run.epoch, run.first_seq)
        if tx.read(_BATCHES, key) is not None:
            raise ValueError(f"a run was taken twice: {key}")
        tx.write(_BATCHES, key, (run, partition))


async def taken_from(
    connection: Any, partition: int, first_offset: int, end_offset: int
) -> dict[int, list[tuple[int, int]]]:
    await connection.statement("nodes: taken from")
    found: dict[int, list[tuple[int, int]]] = {}
    for _, (run, of) in connection.scan(_BATCHES):
        if of == partition and first_offset <= run.offset < end_offset:
            found.setdefault(run.offset, []).append((run.first_seq, run.last_seq))
    return found
