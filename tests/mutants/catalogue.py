"""The protections: where each stands, how it is removed, and which test has to notice.

`SEEDS` targets are run by seeds of the simulation (`tests/simulation/pipeline`), others are named
tests that pass as long as the protection is there.
"""

from dataclasses import dataclass

from tests.mutants.removal import Call, Text

SIMULATION = "tests/simulation/test_pipeline.py::test_everything_that_can_happen"
PROTECTIONS = "tests/simulation/test_kernel_protections.py"
SCENARIOS = "tests/simulation/test_kernel_scenarios.py"
PROGRESS = "tests/integration/common/test_progress.py"
POWER_LOSS = "tests/simulation/power_loss/test_spool_power_loss.py"


@dataclass(frozen=True)
class Mutant:
    """`protection`, in a few words; `promise` of docs/promises.md that it serves. `needs_servers`:
    its test starts PostgreSQL, so the short check leaves it out."""

    protection: str
    promise: str
    removal: Text | Call
    test: str = SIMULATION
    needs_servers: bool = False

    @property
    def by_seeds(self) -> bool:
        return self.test == SIMULATION


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "epoch test, in the model",
        "P7",
        Text(
            "common.stream.memory",
            "fenced = self.store.compares_epoch and known.epoch != expected.epoch",
            "fenced = False",
        ),
        f"{PROTECTIONS}::test_the_epoch_fences_a_zombie_that_stands_at_the_same_offset",
    ),
    Mutant(
        "epoch test, in PostgreSQL",
        "P7",
        Text(
            "common.stream.progress",
            "                  AND epoch = $3\n                  AND next_offset = $4\n",
            "                  AND ($3::bigint IS NOT NULL)\n"
            "                  AND next_offset = $4\n",
        ),
        f"{PROGRESS}::test_the_predecessor_is_fenced_by_the_epoch_alone",
        needs_servers=True,
    ),
    Mutant(
        "expected offset, in the model",
        "P1",
        Text(
            "common.stream.memory",
            "fenced |= self.store.compares_offset and known.next_offset != expected.next_offset",
            "fenced |= False",
        ),
        f"{PROTECTIONS}::test_the_expected_offset_makes_a_blind_retry_harmless",
    ),
    Mutant(
        "expected offset, in PostgreSQL",
        "P1",
        Text(
            "common.stream.progress",
            "                  AND epoch = $3\n                  AND next_offset = $4\n",
            "                  AND epoch = $3\n                  AND ($4::bigint IS NOT NULL)\n",
        ),
        f"{PROGRESS}::test_a_step_from_another_offset_is_fenced",
        needs_servers=True,
    ),
    Mutant(
        "origin high-water mark",
        "P1",
        Text("common.stream.position", "if offset <= seen.get(partition, -1):", "if False:"),
    ),
    Mutant(
        "offsets without a hole",
        "P1",
        Text(
            "common.stream.position",
            "message.offset < expected or (message.offset > expected and not compacted)",
            "message.offset < expected",
        ),
        "tests/unit/common/test_position.py::test_a_hole_or_a_step_back_stops",
    ),
    Mutant(
        "emitting again on takeover (deduper)",
        "P1",
        Text("ingest.worker", "        if at == end:\n", "        if True:\n"),
    ),
    Mutant(
        "emitting again on takeover (aggregator)",
        "P4",
        Text(
            "aggregator.worker",
            "        if state.version > state.emitted_version:\n",
            "        if False:\n",
        ),
    ),
    Mutant(
        "emitting again on takeover (rating)",
        "P4",
        Text(
            "rating.worker",
            "            await self._append(state, pending)\n        part.emitted",
            "            break\n        part.emitted",
        ),
    ),
    Mutant(
        "emit order",
        "P1",
        Text(
            "ingest.worker",
            "            await self._bus.append(EVENTS.name, outputs)\n",
            "            await self._bus.append(\n"
            "                EVENTS.name, {o: records[::-1] for o, records in outputs.items()}\n"
            "            )\n",
        ),
    ),
    Mutant(
        "stopping at the first failed append",
        "P1",
        Text(
            "ingest.worker",
            "            await self._bus.append(EVENTS.name, outputs)\n",
            "            try:\n"
            "                await self._bus.append(EVENTS.name, outputs)\n"
            "            except BusError:\n"
            "                pass\n",
        ),
    ),
    Mutant(
        "ledger in the step's transaction",
        "P1",
        Call("ingest.worker", "tests.mutants.switches", "remember_after_the_step"),
    ),
    Mutant(
        "looking a day back for stamped events (packed ledger)",
        "P1",
        Text("ingest.packed.ledger", "view.find(grp, day - 1, mine)", "view.find(grp, 0, mine)"),
    ),
    Mutant(
        "the packed ledger's memory catches up under the lock",
        "P1",
        Text(
            "ingest.packed.view",
            "            while not memory.settle(group):\n"
            "                await self._catch_up(group, memory)\n",
            "            memory.settle(group)\n",
        ),
    ),
    Mutant(
        "looking a day back for stamped events (plain ledger, in the model)",
        "P1",
        Text(
            "tests.support.model_ledger",
            "(claim.day - 1, claim.day + 1)",
            "()",
        ),
    ),
    Mutant(
        "taking turns over stamped events (plain ledger)",
        "P1",
        Text("ingest.store.plain_ledger", "    if shards:\n", "    if False:\n"),
        "tests/integration/ingest/test_ledger.py::TestPlainLedger"
        "::test_an_untimed_event_that_comes_on_both_sides_of_midnight_at_once",
        needs_servers=True,
    ),
    Mutant(
        "digests of numbered elements",
        "P2",
        Text("ingest.sequence", "same = known.get(seq, digest) == digest", "same = True"),
    ),
    Mutant(
        "a replay is judged once",
        "P3",
        Text("ingest.dedupe", "            waiting.discard(replay_of)\n", "            pass\n"),
    ),
    Mutant(
        "the watermark follows its data (deduper)",
        "P5",
        Text(
            "ingest.worker",
            "            outputs.setdefault(output, []).extend(records)\n",
            "            outputs[output] = [*records, *outputs.get(output, [])]\n",
        ),
    ),
    Mutant(
        "the watermark waits for what is held back (aggregator)",
        "P5",
        Text(
            "aggregator.worker",
            "        if state.version == state.emitted_version:\n            part.emitted",
            "        if True:\n            part.emitted",
        ),
    ),
    Mutant(
        "the watermark waits for what is not rated",
        "P5",
        Text("rating.worker", "        if effect.complete:\n", "        if True:\n"),
    ),
    Mutant(
        "charges close behind the watermark alone",
        "P5",
        Text(
            "rating.worker",
            "        if complete and watermark is not None:\n",
            "        if watermark is not None:\n",
        ),
    ),
    Mutant(
        "only the last envelope seals (ingest)",
        "P5",
        Text(
            "ingest.accept",
            "            batch=Batch(frame.node, frame.epoch, frame.first_seq, None) if frame"
            " else None,\n",
            "            batch=Batch(frame.node, frame.epoch, frame.first_seq,"
            " frame.sealed_through_ms)\n            if frame\n            else None,\n",
        ),
    ),
    Mutant(
        "a seal counts from behind its record",
        "P5",
        Text(
            "ingest.placement",
            "sealed_received_ms=received_ms + 1",
            "sealed_received_ms=received_ms",
        ),
    ),
    Mutant(
        "version on upsert, in the model",
        "P4",
        Text(
            "tests.simulation.models.usage",
            "if known is None or rollup.version > known[1]:",
            "if True:",
        ),
    ),
    Mutant(
        "version on upsert, in PostgreSQL",
        "P4",
        Text("common.usage_rows", "        WHERE excluded.version > known.version\n", ""),
        "tests/integration/common/test_usage_projection.py",
        needs_servers=True,
    ),
    Mutant(
        "a backfill drops what was emitted twice",
        "P4",
        Text(
            "aggregator.backfill",
            "        if offset <= self.seen.get(partition, -1):\n",
            "        if False:\n",
        ),
    ),
    Mutant(
        "a slow owner asks before it emits",
        "P7",
        Text(
            "common.stream.processor",
            "        if part.stepped_at - began > self._lease_seconds / 2:\n",
            "        if False:\n",
        ),
        f"{SCENARIOS}::test_a_zombie_that_wakes_after_its_commit_emits_nothing",
    ),
    Mutant(
        "a claim ends the session of a frozen owner",
        "P7",
        Text(
            "common.stream.progress",
            "            SELECT pg_terminate_backend(pid)\n",
            "            SELECT pid\n",
        ),
        f"{PROGRESS}::test_an_owner_frozen_in_a_step_is_ended_when_its_lease_is_over",
        needs_servers=True,
    ),
    Mutant(
        "fsync before ack",
        "P6",
        Call(
            "collector.spool",
            "tests.simulation.power_loss.protections",
            "REMOVED",
            "fsync before ack: nothing is synced",
        ),
        f"{POWER_LOSS}::test_nothing_acknowledged_is_lost_at_any_moment",
    ),
    Mutant(
        "answer after the commit",
        "P6",
        Call(
            "collector.spool",
            "tests.simulation.power_loss.protections",
            "REMOVED",
            "fsync before ack: answer before the commit",
        ),
        f"{POWER_LOSS}::test_nothing_acknowledged_is_lost_at_any_moment",
    ),
    Mutant(
        "rename durability",
        "P6",
        Call(
            "collector.lock",
            "tests.simulation.power_loss.protections",
            "REMOVED",
            "rename durability: names of new folders",
        ),
        f"{POWER_LOSS}::test_nothing_acknowledged_is_lost_at_any_moment",
    ),
    Mutant(
        "sealed_through waits for usage on its way to the disk (collector)",
        "P5",
        Text(
            "collector.seals",
            "at = min(now_ms, oldest, self._read_until_ms) - self._margin_ms",
            "at = min(now_ms, self._read_until_ms) - self._margin_ms",
        ),
        "tests/unit/collector/test_seals.py",
    ),
)
