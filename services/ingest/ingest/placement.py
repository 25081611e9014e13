"""Places the batches of a step in their nodes' sequences, and stores where the nodes stand."""

from collections.abc import Sequence
from typing import Any

import msgspec

from common.contracts.received import DAY_MS, Batch
from ingest.dedupe import Arrival, Places, digests_of
from ingest.sequence import NodeSequence, place, runs
from ingest.store import nodes


async def place_batches(tx: Any, partition: int, arrivals: Sequence[Arrival]) -> list[Places]:
    """What each element of each batch is; None for arrivals that are no batches.

    A node's batches come through one partition, so its rows have one writer.
    """
    keys = {_key(a.envelope.batch) for a in arrivals if a.envelope.batch is not None}
    if not keys:
        return [None] * len(arrivals)
    step = _Step(tx, await nodes.load_sequences(tx, keys))
    found = [await step.place(arrival) for arrival in arrivals]
    await nodes.save(tx, step.seen)
    await nodes.save_runs(tx, partition, step.runs)
    return found


class _Step:
    """The nodes as the step goes on: later batches of a step see the earlier ones."""

    def __init__(self, tx: Any, sequences: dict[nodes.NodeKey, NodeSequence]) -> None:
        self.seen: dict[nodes.NodeKey, nodes.Seen] = {}
        self.runs: list[nodes.Run] = []
        self._tx, self._sequences = tx, sequences
        self._digests: dict[nodes.NodeKey, dict[int, bytes]] = {}

    async def place(self, arrival: Arrival) -> Places:
        batch = arrival.envelope.batch
        if batch is None:
            return None
        key = _key(batch)
        before = self._sequences.get(key, NodeSequence())
        digests = digests_of(arrival.envelope)
        element = next(arrival.envelope.elements(), None)
        first_seq = batch.first_seq + (element.place if element else 0)
        own = self._digests.setdefault(key, {})
        known = own
        if digests and first_seq < before.next_seq:
            last_seq = first_seq + len(digests) - 1
            known = await nodes.load_digests(self._tx, key, first_seq, last_seq) | own
        after, places = place(before, first_seq, digests, known)
        for first, last in runs(places):
            run = digests[first : last + 1]
            own.update(enumerate(run, first_seq + first))
            day = arrival.timestamp_ms // DAY_MS
            self.runs.append(nodes.Run(*key, first_seq + first, b"".join(run), arrival.offset, day))
        self._sequences[key] = after
        self.seen[key] = _seen(self.seen.get(key), after, batch, arrival.timestamp_ms)
        return places


def _seen(
    before: nodes.Seen | None, sequence: NodeSequence, batch: Batch, received_ms: int
) -> nodes.Seen:
    """What is known of a node after its batch. A seal counts as received just after its record,
    so that a watermark which has reached it has passed everything before it."""
    after = nodes.Seen(sequence, received_ms)
    sealed = batch.sealed_through_ms
    known = before.sealed_through_ms if before else None
    if sealed is not None and (known is None or sealed > known):
        return msgspec.structs.replace(
            after, sealed_through_ms=sealed, sealed_received_ms=received_ms + 1
        )
    if before is not None:
        return msgspec.structs.replace(
            after,
            sealed_through_ms=before.sealed_through_ms,
            sealed_received_ms=before.sealed_received_ms,
        )
    return after


def _key(batch: Batch) -> nodes.NodeKey:
    return batch.node, batch.epoch
