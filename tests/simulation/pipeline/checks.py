"""What must hold after a run, and what was recorded while it ran: each finding is a sentence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from aggregator.cells import instant
from common.contracts import wire
from common.contracts.charges import Charge
from common.contracts.control import is_control
from common.contracts.rollups import Rollup, group_key
from common.contracts.topics import CHARGES, ROLLUPS, partition_for
from common.events import REASONS
from rating.billing import billing_periods
from rating.charging import Measured, make_charges
from rating.parts.period import Held
from tests.simulation.models import charges as charge_store
from tests.simulation.models import dead_events, unreadable
from tests.simulation.models.subscriptions import SUBSCRIPTIONS
from tests.simulation.pipeline import catalog
from tests.simulation.pipeline.completeness import (
    check_published_watermarks,
    check_seals,
    check_watermarks,
)
from tests.simulation.pipeline.truth import PARTITIONS, Truth, find_truth
from tests.simulation.pipeline.world import World

HOUR_MS = 3_600_000
SLOT_MS = 10_000
SKEWED = timedelta(seconds=2)
"""Host clocks are off by less."""
Sums = dict[tuple[Any, ...], Any]


def problems(world: World) -> list[str]:
    """Everything that is wrong with a run; nothing is what one hopes for."""
    found = list(world.problems)
    if not world.is_settled:
        found.append("it did not settle")
    try:
        truth = find_truth(world.bus)
    except AssertionError as error:
        return [*found, str(error)]
    found += truth.problems
    for check in CHECKS:
        found += check(world, truth)
    return found


def check_acknowledged(world: World, truth: Truth) -> Iterator[str]:
    """Whatever was answered with 2xx is in the log."""
    if world.acknowledged > truth.received:
        yield f"{world.acknowledged} acknowledged, {truth.received} in the log"


def check_accounting(world: World, truth: Truth) -> Iterator[str]:
    tables = world.store.tables
    tallies = list(tables["ingest.accounting"].values())
    replayed = sum(outcome != "conflict" for outcome in truth.replayed.values())
    expected = {
        "received": truth.received,
        "counted": len(truth.counted),
        "duplicates": truth.duplicates
        + sum(outcome == "duplicate" for outcome in truth.replayed.values()),
        "parked": len(truth.parked) - replayed,
    }
    for name, value in expected.items():
        found = sum(getattr(tally, name) for tally in tallies)
        if found != value:
            yield f"accounting: {found} {name}, and it should be {value}"


def check_parked(world: World, truth: Truth) -> Iterator[str]:
    """Every parked element is listed with its reason, and nothing else is."""
    expected = dict(truth.parked)
    for row in world.store.tables[dead_events.TABLE].values():
        place = ((row["origin_partition"], row["origin_offset"]), row["place"])
        code = expected.pop(place, None)
        outcome = truth.replayed.get(row["id"])
        if outcome == "conflict":
            code, outcome = "identity_conflict", "open"
        # A replay whose way into the log was barred stays under way until it is asked for again.
        states = ("open", "replaying") if outcome is None else (outcome,)
        if code != row["code"] or row["state"] not in states:
            yield f"dead event {row} should have code {code} and be {' or '.join(states)}"
        if row["code"] not in REASONS or not row["message"]:
            yield f"dead event {row} has no reason"
    for place, code in expected.items():
        yield f"{place} ({code}) is not listed"


def check_rollups(world: World, truth: Truth) -> Iterator[str]:
    """Usage by tenant, meter, group and bucket: in the aggregator and in what rating knows."""
    tables = world.store.tables
    for table, width_ms in (("hours", HOUR_MS), ("slots", SLOT_MS)):
        expected = expected_usage(truth, width_ms)
        stored: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for (series, start, _), (value, _) in tables[f"aggregator.{table}"].items():
            tenant, slug, dimensions = tables["aggregator.series.by_id"][series]
            stored[tenant, slug, group_key(dimensions), start].append(value)
        members: dict[tuple[Any, ...], set[str]] = defaultdict(set)
        for series, slot, _, member in tables["aggregator.members"]:
            tenant, slug, dimensions = tables["aggregator.series.by_id"][series]
            members[tenant, slug, group_key(dimensions), slot - slot % width_ms].add(member)
        yield from _differences(f"aggregator {table}", expected, stored, members)

        known: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for (tenant, slug, group, _, at), (value, _, _) in tables[f"rating.usage_{table}"].items():
            known[tenant, slug, group, int(at.timestamp() * 1000)].append(value)
        members = defaultdict(set)
        for tenant, slug, at, group, member in tables["rating.usage_members"]:
            slot = int(at.timestamp() * 1000)
            members[tenant, slug, group, slot - slot % width_ms].add(member)
        yield from _differences(f"rating {table}", expected, known, members)


def check_unreadable(world: World, truth: Truth) -> Iterator[str]:
    """What a meter could not read is listed at it."""
    meters = [one for one in (*catalog.BEGUN, catalog.LATER) if one.value == "bytes"]
    wrong = sum(
        one.type == "http.request" and not isinstance(one.data["bytes"], int)
        for one in truth.counted
    )
    listed = len(world.store.tables[unreadable.TABLE])
    if listed != wrong * _defined(world, meters):
        yield f"{listed} unreadable listed, {wrong} events are"


def check_charges(world: World, truth: Truth) -> Iterator[str]:
    """Charges equal rating the truth; a reader of the topic who keeps the higher version has the
    same."""
    expected = expected_charges(world, truth)
    stored: dict[str, Charge] = dict(world.store.tables[charge_store.CHARGES])
    read: dict[str, Charge] = {}
    for charge in _charges(world):
        if charge.id not in read or charge.version > read[charge.id].version:
            read[charge.id] = charge
    for name, found in (("stored", stored), ("read", read)):
        live = {id: charge for id, charge in found.items() if not charge.withdrawn}
        for id in sorted(live.keys() | expected.keys()):
            period_from = (live.get(id) or expected[id]).period_from
            if period_from > world.now() - SKEWED:
                continue  # by whose clock has it begun?
            if id not in live or id not in expected:
                yield f"charge {id} is {'not ' if id not in live else ''}{name}"
                continue
            have, want = live[id], expected[id]
            if (have.quantity, have.amount) != (want.quantity, want.amount):
                yield f"charge {id} {name}: {have.quantity} for {have.amount}, not {want.quantity}"
            if (have.period_to, have.closed) != (want.period_to, want.closed):
                yield f"charge {id} {name}: closed {have.closed} until {have.period_to}"
    if stored != read:
        yield "the topic of charges does not say what is stored"


def check_versions(world: World, truth: Truth) -> Iterator[str]:
    """One version says one thing, and a higher one never says less."""
    for partition in range(PARTITIONS):
        known: dict[bytes, dict[int, Any]] = defaultdict(dict)
        for message in world.bus.messages(ROLLUPS.name, partition):
            if not is_control(message):
                rollup = wire.read(Rollup, message)
                parts = [rollup.tenant, rollup.meter, group_key(rollup.group), rollup.hour]
                key = repr((*parts, rollup.shard)).encode()
                if known[key].setdefault(rollup.version, rollup.value) != rollup.value:
                    yield f"version {rollup.version} of {key!r} has two values"
        for key, values in known.items():
            counts = [values[version].count for version in sorted(values)]
            if counts != sorted(counts):
                yield f"{key!r} went backwards: {counts}"
    said: dict[tuple[str, int], Charge] = {}
    for charge in _charges(world):
        if said.setdefault((charge.id, charge.version), charge) != charge:
            yield f"version {charge.version} of {charge.id} has two contents"
    for slug in {id for id, _ in said}:
        versions = sorted(version for id, version in said if id == slug)
        spans = [said[slug, version] for version in versions]
        for one, other in pairwise(spans):
            less = other.quantity < one.quantity and other.period_to >= one.period_to
            if less and not other.withdrawn:
                yield f"charge {slug} went back from {one.quantity} to {other.quantity}"


CHECKS = (
    check_acknowledged,
    check_accounting,
    check_parked,
    check_rollups,
    check_unreadable,
    check_charges,
    check_versions,
    check_watermarks,
    check_published_watermarks,
    check_seals,
)


def expected_usage(truth: Truth, width_ms: int) -> Sums:
    """{(tenant, meter, group, bucket ms): value}"""
    sums: Sums = {}
    for one in truth.counted:
        if one.type != "http.request":
            continue
        bucket = one.at_ms - one.at_ms % width_ms
        data = one.data
        key = (one.tenant, "requests", "", bucket)
        sums[key] = sums.get(key, 0) + 1
        sums.setdefault((one.tenant, "visitors", "", bucket), set()).add(data["user"])
        if isinstance(data["bytes"], int):
            key = (one.tenant, "traffic", group_key({"region": data["region"]}), bucket)
            sums[key] = sums.get(key, 0) + data["bytes"]
            key = (one.tenant, catalog.LATER.slug, "", bucket)
            sums[key] = sums.get(key, 0) + data["bytes"]
    return sums


def expected_charges(world: World, truth: Truth) -> dict[str, Charge]:
    """What rating the truth comes to, by the id of the charge."""
    found: dict[str, Charge] = {}
    for one in world.store.tables[SUBSCRIPTIONS].values():

        def measure(meter: str, held: Held, tenant: str = one.tenant) -> Measured:
            return Measured(_used(truth, tenant, meter, *held), 0, {})

        partition = partition_for(one.tenant, PARTITIONS)
        position = world.store.position(ROLLUPS.name, partition)
        watermark = instant((position and position.watermark_ms) or 0)
        periods = billing_periods(one, catalog.plans(one), by=world.now())
        charges = make_charges(one, periods, measure, watermark=watermark)
        found |= {charge.id: charge for charge in charges}
    return found


def _used(truth: Truth, tenant: str, meter: str | None, start: datetime, end: datetime) -> Decimal:
    first, last = (int(at.timestamp() * 1000) for at in (start, end))
    members: set[str] = set()
    total = Decimal(0)
    for one in truth.counted:
        if one.tenant != tenant or one.type != "http.request" or not first <= one.at_ms < last:
            continue
        if meter == "requests":
            total += 1
        elif meter == "traffic" and isinstance(one.data["bytes"], int):
            total += one.data["bytes"]
        elif meter == "visitors":
            members.add(one.data["user"])
    return total + len(members)


def _differences(
    where: str, expected: Sums, stored: dict[tuple[Any, ...], list[Any]], members: Any
) -> Iterator[str]:
    later = {key for key in stored if key[1] == catalog.LATER.slug}
    for key in sorted(stored.keys() | expected.keys()):
        if key[1] == catalog.LATER.slug and not later and where:
            continue  # nobody has defined it
        values, want = stored.get(key, []), expected.get(key)
        match key[1]:
            case "requests":
                have: Any = sum(value.count for value in values)
            case "visitors":
                have, want = len(members[key]), len(want or ())
            case _:
                have = sum(value.sum for value in values)
        if have != want:
            yield f"{where}: {key} is {have}, and it should be {want}"


def _defined(world: World, meters: Iterable[Any]) -> int:
    known = world.store.tables["aggregator.meters"]
    return sum(one.slug in known for one in meters)


def _charges(world: World) -> Iterator[Charge]:
    for partition in range(PARTITIONS):
        for message in world.bus.messages(CHARGES.name, partition):
            if not is_control(message):
                yield wire.read(Charge, message)
