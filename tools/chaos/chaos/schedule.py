"""Which fault happens when, and to what: pure, from a seed. The same seed gives the same schedule.

Kinds are dealt like cards, in proportion to their weight and each at least once where there is
room, so that a run of twenty faults has seen them all. Faults may overlap, but a kind rests after
it struck: without that, servers that are killed again before they are back would be all there is.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault as the schedule sees it.

    `targets` are groups of names: a group is drawn first, then a name in it, so that a kind of link
    that is rare among all links is still hit often. `lasts`: least and most seconds until it is
    healed. `rest_seconds` pass before the kind strikes again. `choices`: fields of the fault's
    detail, each drawn from its values.
    """

    name: str
    weight: int
    targets: Sequence[Sequence[str]]
    lasts: tuple[float, float] = (0.0, 0.0)
    rest_seconds: float = 0.0
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: number `n` (from 1), `at` seconds after the faults begin."""

    n: int
    at: float
    kind: str
    target: str
    lasts: float
    detail: Mapping[str, Any]

    def __str__(self) -> str:
        said = ", ".join(f"{name} {value}" for name, value in self.detail.items())
        lasting = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.kind} {self.target}{lasting}{f' ({said})' if said else ''}"


def plan(seed: int, seconds: float, faults: int, kinds: Sequence[Kind]) -> list[Planned]:
    """`faults` faults within `seconds`, in the order of their time."""
    chance = random.Random(seed)
    deck = deal(chance, faults, kinds)
    gap = seconds / max(1, faults)
    known = {kind.name: kind for kind in kinds}
    rests_until: dict[str, float] = {}
    busy_until: dict[tuple[str, str], float] = {}
    planned: list[Planned] = []
    for n in range(1, faults + 1):
        at = round((n - 1 + chance.uniform(0.0, 0.9)) * gap, 2)
        awake = [kind for kind in kinds if rests_until.get(kind.name, 0) <= at] or list(kinds)
        kind = known[_next_card(chance, deck, awake)]
        free = [
            names
            for group in kind.targets
            if (names := [name for name in group if busy_until.get((kind.name, name), 0) <= at])
        ]
        target = chance.choice(chance.choice(free or list(kind.targets)))
        lasts = round(chance.uniform(*kind.lasts), 1)
        detail = {name: chance.choice(list(values)) for name, values in kind.choices.items()}
        rests_until[kind.name] = at + kind.rest_seconds
        busy_until[kind.name, target] = at + lasts
        planned.append(Planned(n, at, kind.name, target, lasts, detail))
    return planned


def deal(chance: random.Random, faults: int, kinds: Sequence[Kind]) -> list[str]:
    """`faults` names of kinds, shuffled: each kind once while there is room, the rest by weight."""
    once = [kind.name for kind in kinds]
    chance.shuffle(once)
    weights = [kind.weight for kind in kinds]
    names = [kind.name for kind in kinds]
    total = sum(weights)
    left = max(0, faults - len(once))
    by_weight = [
        name for name, w in zip(names, weights, strict=True) for _ in range(left * w // total)
    ]
    rest = chance.choices(names, weights, k=left - len(by_weight))
    deck = once[:faults] + by_weight + rest
    chance.shuffle(deck)
    return deck


def _next_card(chance: random.Random, deck: list[str], awake: Sequence[Kind]) -> str:
    """Takes the first card of a kind that is awake; one from another deck where there is none."""
    names = [kind.name for kind in awake]
    place = next((i for i, name in enumerate(deck) if name in names), None)
    if place is not None:
        return deck.pop(place)
    return chance.choices(names, [kind.weight for kind in awake])[0]
