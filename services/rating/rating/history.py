"""A subscription's history: effective-dated facts that are only ever added, and what they fold to.

A fact says what holds from an instant on. Facts are folded in the order of the instants from which
they hold; of two at one instant the one recorded later decides. So it does not matter in which
order they arrive: a backdated fact takes its place in the past, and what was known for later stays.
A fact is taken back by another one that revokes it. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

Kind = Literal[
    "start",
    "end",
    "pause",
    "resume",
    "plan",
    "quantity",
    "add_on",
    "override",
    "coupon",
    "one_off",
    "cut",
    "revoke",
]

_encode = msgspec.json.Encoder(order="deterministic").encode


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """`revision` counts a subscription's facts from 1 in the order of their recording.

    `body` by kind: start {plan, version, quantities}, plan {plan, version, quantities}, quantity
    {name, quantity}, add_on {add_on, enabled}, override {price, fields}, coupon (as in a plan),
    one_off {slug, amount, description}, revoke {revision}; nothing for the others.
    """

    revision: int
    kind: Kind
    at: datetime
    body: dict[str, Any] = {}
    recorded_at: datetime | None = None
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Terms:
    """What holds in a segment. `overrides`: by price, the fields that replace the plan's, as
    canonical JSON. `quantities`: those that were set; the plan knows the others' defaults."""

    plan: str
    version: int
    overrides: tuple[tuple[str, str], ...] = ()
    quantities: tuple[tuple[str, Decimal], ...] = ()
    add_ons: frozenset[str] = frozenset()
    paused: bool = False


@dataclass(frozen=True)
class Segment:
    """[`start`, `end`) under the same terms; `end` None: open."""

    start: datetime
    end: datetime | None
    terms: Terms


@dataclass(frozen=True)
class Timeline:
    """What a history says. `segments` tile [`start`, `end`); neighbours differ in their terms.
    `cuts` (ascending) end one billing period and begin the next. `coupons` and `one_offs` are
    facts, by the instant from which they hold."""

    start: datetime
    end: datetime | None
    segments: tuple[Segment, ...]
    cuts: tuple[datetime, ...] = ()
    coupons: tuple[Fact, ...] = ()
    one_offs: tuple[Fact, ...] = ()

    def at(self, instant: datetime) -> Segment | None:
        """The segment that holds at an instant."""
        for segment in self.segments:
            if segment.start <= instant and (segment.end is None or instant < segment.end):
                return segment
        return None


def in_force(facts: Iterable[Fact]) -> list[Fact]:
    """The facts that are not revoked, in the order in which they are folded."""
    found = list(facts)
    gone = {fact.body["revision"] for fact in found if fact.kind == "revoke"}
    kept = [fact for fact in found if fact.kind != "revoke" and fact.revision not in gone]
    return sorted(kept, key=lambda fact: (fact.at, fact.revision))


def fold(facts: Iterable[Fact]) -> Timeline:
    """The timeline of a history. It must hold one start; facts before it hold from there."""
    kept = in_force(facts)
    [begin] = [fact for fact in kept if fact.kind == "start"]
    ends = [fact.at for fact in kept if fact.kind == "end"]
    end = min(ends, default=None)
    marks = [(begin.at, _terms(_NONE, begin))]
    # The start's terms come first, whatever is dated before it.
    for fact in kept:
        if fact.kind == "start" or (end is not None and fact.at >= end):
            continue
        before = marks[-1][1]
        after = _terms(before, fact)
        if after != before:
            marks.append((max(fact.at, begin.at), after))
    within = [f for f in kept if begin.at <= f.at and (end is None or f.at < end)]
    return Timeline(
        start=begin.at,
        end=end,
        segments=tuple(_segments(marks, end)),
        cuts=tuple(sorted({fact.at for fact in within if fact.kind == "cut"} - {begin.at})),
        coupons=tuple(fact for fact in within if fact.kind == "coupon"),
        one_offs=tuple(fact for fact in within if fact.kind == "one_off"),
    )


_NONE: Final = Terms("", 0)


def _terms(before: Terms, fact: Fact) -> Terms:
    """The terms after a fact."""
    body = fact.body
    match fact.kind:
        case "start" | "plan":
            named = {**dict(before.quantities), **_quantities(body.get("quantities") or {})}
            return replace(
                before,
                plan=body["plan"],
                version=body["version"],
                quantities=tuple(sorted(named.items())),
            )
        case "quantity":
            named = {**dict(before.quantities), body["name"]: Decimal(body["quantity"])}
            return replace(before, quantities=tuple(sorted(named.items())))
        case "add_on":
            others = before.add_ons - {body["add_on"]}
            return replace(before, add_ons=others | {body["add_on"]} if body["enabled"] else others)
        case "override":
            overrides = dict(before.overrides)
            overrides.pop(body["price"], None)
            if body.get("fields") is not None:
                overrides[body["price"]] = _encode(body["fields"]).decode()
            return replace(before, overrides=tuple(sorted(overrides.items())))
        case "pause" | "resume":
            return replace(before, paused=fact.kind == "pause")
        case _:
            return before


def _quantities(named: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: Decimal(value) for name, value in named.items()}


def _segments(marks: list[tuple[datetime, Terms]], end: datetime | None) -> list[Segment]:
    """Segments between marks (ascending); of several marks at one instant the last decides."""
    made: list[Segment] = []
    for (start, terms), following in zip(marks, [*(at for at, _ in marks[1:]), end], strict=True):
        if following is not None and following <= start:
            continue
        if made and made[-1].terms == terms:
            made[-1] = replace(made[-1], end=following)
        else:
            made.append(Segment(start, following, terms))
    return made
