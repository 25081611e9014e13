"""No watermark and no seal says more than is true: at every commit, and for every reader."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from common.contracts import wire
from common.contracts.charges import Charge
from common.contracts.control import is_control, watermark_of
from common.contracts.received import decode_envelope
from common.contracts.rollups import Rollup
from common.contracts.topics import CHARGES, EVENTS, RECEIVED, ROLLUPS, partition_for
from tests.simulation.pipeline.scenario import BASE_MS
from tests.simulation.pipeline.truth import PARTITIONS, Counted, Truth
from tests.simulation.pipeline.world import World

HOUR_MS = 3_600_000
NEVER = 1 << 60
Place = tuple[str, int]


def check_watermarks(world: World, truth: Truth) -> Iterator[str]:
    """Whenever a watermark W was committed, everything received before W had taken effect there:
    the record that brought it lies below the position."""
    needed = _needed(world, truth)
    reached: dict[Place, int] = {}
    for position in world.commits:
        place, watermark = (position.topic, position.partition), position.watermark_ms
        if watermark is None:
            continue
        if watermark < reached.get(place, 0):
            yield f"the watermark of {place} went back"
        reached[place] = watermark
        received, offsets = needed[place]
        covered = bisect_left(received, watermark)
        if covered and offsets[covered - 1] >= position.next_offset:
            yield (
                f"{place} at {position.next_offset} has watermark {watermark - BASE_MS}, and "
                f"lacks offset {offsets[covered - 1]}"
            )
            return


def check_published_watermarks(world: World, truth: Truth) -> Iterator[str]:
    """A reader of charges who has seen watermark W has seen everything received before W in the
    charges; and so has one who sees a closed charge, for the end of its period."""
    requests = [one for one in truth.counted if one.type == "http.request"]
    for partition in range(PARTITIONS):
        told: dict[int, int] = {}
        known: dict[str, Charge] = {}
        for message in world.bus.messages(CHARGES.name, partition):
            said = watermark_of(message)
            if said is not None:
                told[said.origin] = max(told.get(said.origin, 0), said.watermark_ms)
                watermark = min(told.get(origin, 0) for origin in range(PARTITIONS))
                for charge in known.values():
                    yield from _lacking(charge, requests, watermark)
            elif not is_control(message):
                charge = wire.read(Charge, message)
                if charge.meter != "requests":
                    continue
                if charge.id not in known or charge.version > known[charge.id].version:
                    known[charge.id] = charge
                    if charge.closed:
                        due_ms = int(charge.due.timestamp() * 1000)
                        yield from _lacking(charge, requests, due_ms)


def check_seals(world: World, truth: Truth) -> Iterator[str]:
    """What a node has sealed, with the watermark that covers the seal, is all there."""
    arrived = _arrivals(world)
    for name, epoch, sealed_ms, received_ms in sorted(world.seals):
        for (of, seq), times in world.nodes[name].seen.items():
            forgotten = (name, epoch, seq) in world.forgotten
            if of != epoch or forgotten or min(times) >= sealed_ms:
                continue
            if arrived.get((name, epoch, seq), NEVER) >= received_ms:
                yield (
                    f"{name} sealed {sealed_ms - BASE_MS} at {received_ms - BASE_MS}, and its "
                    f"element {seq} was not there yet"
                )


def _needed(world: World, truth: Truth) -> dict[Place, tuple[list[int], list[int]]]:
    """By place: when events were received, ascending, and the offset up to which one has to have
    read there to know all that were received until then."""
    needed: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for one in truth.counted:
        partition, offset = one.origin
        needed[RECEIVED.name, partition].append((one.appended_ms, offset))
        needed[EVENTS.name, one.shard].append((one.appended_ms, one.record))
    for one, offset in _first_rollups(world, truth):
        partition = partition_for(one.tenant, PARTITIONS)
        needed[ROLLUPS.name, partition].append((one.appended_ms, offset))
    found: dict[Place, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for place, pairs in needed.items():
        pairs.sort()
        offsets = list(accumulate((offset for _, offset in pairs), max))
        found[place] = ([at for at, _ in pairs], offsets)
    return found


def _first_rollups(world: World, truth: Truth) -> Iterator[tuple[Counted, int]]:
    """Each counted request, and the first record of usage.rollups that has it in: rows count in
    the order of usage.events."""
    rows: dict[Any, list[Counted]] = defaultdict(list)
    for one in sorted(truth.counted, key=lambda one: one.record):
        if one.type == "http.request":
            rows[one.tenant, one.at_ms - one.at_ms % HOUR_MS, one.shard].append(one)
    steps: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for partition in range(PARTITIONS):
        for message in world.bus.messages(ROLLUPS.name, partition):
            if is_control(message):
                continue
            rollup = wire.read(Rollup, message)
            if rollup.meter == "requests":
                key = (rollup.tenant, int(rollup.hour.timestamp() * 1000), rollup.shard)
                known = steps[key][-1][0] if steps[key] else 0
                steps[key].append((max(known, rollup.value.count), message.offset))
    for key, events in rows.items():
        for rank, one in enumerate(events, 1):
            at = bisect_left(steps[key], (rank, 0))
            yield one, steps[key][at][1] if at < len(steps[key]) else NEVER


def _lacking(charge: Charge, requests: list[Counted], watermark_ms: int) -> Iterator[str]:
    if charge.withdrawn:
        return
    first, last = (int(at.timestamp() * 1000) for at in (charge.period_from, charge.period_to))
    received = sum(
        one.appended_ms < watermark_ms and one.tenant == charge.tenant and first <= one.at_ms < last
        for one in requests
    )
    if charge.quantity < received:
        yield (
            f"charge {charge.id} says {charge.quantity} behind watermark "
            f"{watermark_ms - BASE_MS}, and {received} were received before"
        )


def _arrivals(world: World) -> dict[tuple[str, str, int], int]:
    """When each (node, epoch, seq) was first received, by the broker's clock."""
    found: dict[tuple[str, str, int], int] = {}
    for partition in range(PARTITIONS):
        for message in world.bus.messages(RECEIVED.name, partition):
            if is_control(message):
                continue
            envelope = decode_envelope(message.value or b"")
            batch = envelope.batch
            for element in envelope.elements() if batch is not None else ():
                key = (batch.node, batch.epoch, batch.first_seq + element.place)  # type: ignore[union-attr]
                found.setdefault(key, message.timestamp_ms)
    return found
