"""A decision that took effect on a node is in force after a power cut, with the centre away."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from collector.decisions.holder import Decisions
from collector.decisions.store import DecisionStore, open_decisions
from common.contracts.decisions import Decision
from tests.simulation.power_loss import interpose
from tests.simulation.power_loss.recorder import Operation, Recorder
from tests.simulation.power_loss.replay import replay

pytestmark = pytest.mark.skipif(
    interpose.unsupported() is not None, reason=interpose.unsupported() or ""
)

FILE = "decisions.sqlite"
_MOMENT = datetime(2026, 11, 23, 9, tzinfo=UTC)

InForce = dict[str, int]
"""The revision of each tenant's decision."""


@dataclass(frozen=True, slots=True)
class Told:
    """The throttler says that at `revision` these are in force."""

    revision: int
    in_force: InForce


@dataclass(frozen=True, slots=True)
class InEffect:
    """The node enforces this revision."""

    revision: int


def lived(root: Path, *, seed: int, words: int) -> list[Operation]:
    """A node that hears `words` of the throttler, and is started anew in the middle."""
    recorder, chance = Recorder(root), Random(seed)
    in_force: InForce = {}
    with recorder.recording():
        for start in range(2):
            store = open_decisions(root / FILE)
            decisions = Decisions(store, silence_seconds=30)
            recorder.mark(InEffect(decisions.revision))
            for revision in range(start * words + 1, (start + 1) * words + 1):
                tenant = f"tenant-{chance.randrange(5)}"
                in_force = in_force | {tenant: revision}
                recorder.mark(Told(revision, in_force))
                if chance.random() < 0.2:
                    everyone = [decided(name, number) for name, number in in_force.items()]
                    decisions.replace(everyone, revision)
                else:
                    decisions.apply([decided(tenant, revision)], revision)
                recorder.mark(InEffect(decisions.revision))
                if chance.random() < 0.3:
                    decisions.apply([], decisions.revision)
            store.close()
    return recorder.log


def decided(tenant: str, revision: int) -> Decision:
    return Decision(tenant=tenant, state="deny", revision=revision, decided_at=_MOMENT)


def observe(root: Path) -> tuple[int, InForce] | str:
    """What the node enforces after the restart."""
    try:
        store = open_decisions(root / FILE)
    except Exception as error:
        return f"the decisions do not open: {error!r}"
    decisions = Decisions(store, silence_seconds=30)
    store.close()
    if (root / "decisions.damaged").exists():
        return "the file was damaged"
    return decisions.revision, {
        held.decision.tenant: held.decision.revision for held in decisions.held()
    }


@dataclass
class Oracle:
    told: dict[int, InForce] = field(default_factory=lambda: {0: {}})
    in_effect: int = 0

    def learn(self, what: Any) -> None:
        match what:
            case Told(revision, in_force):
                self.told[revision] = in_force
            case InEffect(revision):
                self.in_effect = revision

    def violations(self, found: tuple[int, InForce] | str) -> list[str]:
        if isinstance(found, str):
            return [found]
        revision, in_force = found
        if revision < self.in_effect:
            return [f"back to revision {revision} from {self.in_effect}"]
        if in_force != self.told.get(revision):
            return [f"at revision {revision} there is {in_force}"]
        return []


def test_decisions_never_go_back(tmp_path: Path) -> None:
    outcome = replay(lived(tmp_path, seed=1, words=12), Oracle(), observe, seed=1, samples=3)
    print(outcome)
    assert outcome.violations == []


def test_without_a_sync_they_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = DecisionStore._sync
    with monkeypatch.context() as patch:
        patch.setattr(DecisionStore, "_sync", lambda store, _: sync(store, "NORMAL"))
        log = lived(tmp_path, seed=1, words=12)
    assert replay(log, Oracle(), observe, seed=1, samples=3).violations != []
