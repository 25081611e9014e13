"""Decisions never go backwards at an edge. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What an edge had in force at a Unix time: its revision, and those of its decisions."""

    at: float
    revision: int
    held: Mapping[str, int]


def going_backwards(edge: str, glimpses: Sequence[Glimpse]) -> list[str]:
    """Where a revision is lower than one that was seen before at the same edge."""
    wrong = []
    revision = 0
    held: dict[str, int] = {}
    for glimpse in glimpses:
        if glimpse.revision < revision:
            wrong.append(
                f"{glimpse.at:.3f} {edge}: revision went from {revision} back to {glimpse.revision}"
            )
        revision = max(revision, glimpse.revision)
        for key, of_decision in glimpse.held.items():
            if of_decision < held.get(key, 0):
                wrong.append(
                    f"{glimpse.at:.3f} {edge}: the decision of {key} went from revision"
                    f" {held[key]} back to {of_decision}"
                )
            held[key] = max(held.get(key, 0), of_decision)
    return wrong


def not_current(edge: str, glimpse: Glimpse, current: Mapping[str, int]) -> list[str]:
    """What an edge holds beside what the throttler has in force (revisions by tenant/action)."""
    return [
        f"{edge} holds revision {glimpse.held.get(key)} of the decision of {key},"
        f" the throttler has {revision}"
        for key, revision in sorted(current.items())
        if glimpse.held.get(key) != revision
    ]
