"""What a catalog would change, and whether all of it can be: every service is asked first."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any, Final

from tollgate import calls
from tollgate.catalog.files import Catalog, Item, write
from tollgate.catalog.state import State, canonical
from tollgate.client import Client
from tollgate.errors import ProblemError

_OF_A_PLAN: Final = re.compile(r"body\.plans[\[.]([0-9]+)\]?")


@dataclass(frozen=True)
class Change:
    """`change`: created, changed or unchanged. `before` and `after` are canonical. `affected`:
    sentences about whom it concerns."""

    kind: str
    name: str
    change: str
    before: dict[str, Any] | None
    after: dict[str, Any]
    affected: list[str]

    def difference(self) -> str:
        """The lines that change, as `diff` shows them."""
        old = write({self.kind: [self.before]}) if self.before is not None else ""
        new = write({self.kind: [self.after]})
        lines = unified_diff(
            old.splitlines(keepends=True)[1:],
            new.splitlines(keepends=True)[1:],
            f"{self.kind}/{self.name} (now)",
            f"{self.kind}/{self.name} (catalog)",
        )
        return "".join(lines)


@dataclass(frozen=True)
class Review:
    """`state`: what it was compared with. `problems`: (where, what) that keep all of it from
    being. `only_there`: what the services hold beside."""

    state: State
    changes: list[Change] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    only_there: list[tuple[str, str]] = field(default_factory=list)

    @property
    def differing(self) -> list[Change]:
        return [one for one in self.changes if one.change != "unchanged"]

    def change_of(self, item: Item) -> str:
        """created, changed or unchanged."""
        kind, name = item.kind, item.name
        return next(one.change for one in self.changes if (one.kind, one.name) == (kind, name))

    def in_force(self, item: Item) -> int:
        """What of a meter or a rule was compared with, 0 where there was none."""
        return self.state.in_force.get((item.kind, item.name), 0)


def review(client: Client, catalog: Catalog, state: State) -> Review:
    """Compare, and ask each service whether it would take its part. Nothing is changed."""
    made = Review(state)
    told_meters: dict[str, Any] = {
        item.name: str(item.body.get("unit") or "") for item in catalog["meters"]
    }
    for item in catalog["meters"]:
        with _noting(made, item) as asked:
            told = client.perform(
                calls.aggregator.put_meter_body(item.name, item.body, dry_run=True)
            )
            asked.after = canonical("meters", told)
        if asked.after:
            told_meters[item.name] = _priced(asked.after)
            affected = _pricing(item.name, state, catalog)
            made.changes.append(_change(item, state.meters.get(item.name), asked.after, affected))
    made.changes.extend(_plans(client, catalog["plans"], told_meters, made))
    for item in catalog["rules"]:
        with _noting(made, item) as asked:
            assume = item.body.get("meter") in told_meters
            told = client.perform(
                calls.throttler.put_rule_body(
                    item.name, item.body, dry_run=True, assume_meter=assume
                )
            )
            asked.after = canonical("rules", told)
        if asked.after:
            affected = _held(asked.after, state)
            made.changes.append(_change(item, state.rules.get(item.name), asked.after, affected))
    for kind, held in (("meters", state.meters), ("plans", state.plans), ("rules", state.rules)):
        named = {item.name for item in catalog[kind]}
        made.only_there.extend((kind, name) for name in sorted(held) if name not in named)
    return made


def _priced(meter: Mapping[str, Any]) -> dict[str, Any]:
    """What of a meter decides how it can be priced."""
    return {name: meter[name] for name in ("aggregation", "group_by", "unit") if name in meter}


def plans_body(items: list[Item]) -> list[dict[str, Any]]:
    """Plans as rating's catalog takes them."""
    return [{"slug": item.name, **item.body} for item in items]


class _noting:
    """Turns a refusal of one item into problems of the review."""

    def __init__(self, review: Review, item: Item) -> None:
        self._review, self._item = review, item
        self.after: dict[str, Any] = {}

    def __enter__(self) -> "_noting":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if not isinstance(error, ProblemError) or error.status >= 500:
            return False
        named = [(str(one.get("path", "")), str(one.get("message", ""))) for one in error.errors]
        for path, message in named or [("", error.detail)]:
            where = path.removeprefix("body.").removeprefix("body")
            self._review.problems.append(
                (f"{self._item.where}{'.' if where else ''}{where}", message)
            )
        return True


def _plans(
    client: Client, items: list[Item], meters: Mapping[str, Any], made: Review
) -> Iterator[Change]:
    """All plans in one question, so that what is wrong with any of them is told at once; then, in
    another, those with which nothing is."""
    if not items:
        return
    call = calls.rating.publish(plans_body(items), meters=meters, dry_run=True)
    try:
        told = client.perform(call)
    except ProblemError as error:
        if error.status >= 500 or not error.errors:
            raise
        paths = [str(one.get("path", "")) for one in error.errors]
        for path, one in zip(paths, error.errors, strict=True):
            made.problems.append((_place(path, items), str(one["message"])))
        faulty = [int(named[1]) if (named := _OF_A_PLAN.match(path)) else None for path in paths]
        good = [item for number, item in enumerate(items) if number not in faulty]
        if None not in faulty:
            yield from _plans(client, good, meters, made)
        return
    for plan in told["plans"]:
        yield Change(
            "plans",
            plan["slug"],
            plan["change"],
            plan["before"],
            plan["after"],
            _subscribed(plan["subscribed"]),
        )


def _place(path: str, items: list[Item]) -> str:
    """`body.plans[2].prices[0]` as the file knows it."""
    named = _OF_A_PLAN.match(path)
    if named is None or int(named[1]) >= len(items):
        return path
    return items[int(named[1])].where + path[named.end() :]


def _change(
    item: Item, before: dict[str, Any] | None, after: dict[str, Any], affected: list[str]
) -> Change:
    change = "created" if before is None else "unchanged" if before == after else "changed"
    return Change(item.kind, item.name, change, before, after, affected)


def _subscribed(versions: list[dict[str, Any]]) -> list[str]:
    """Who stays on which version of a plan."""
    return [
        f"version {one['version']} keeps {one['subscriptions']} subscriptions of"
        f" {one['tenants']} tenants: {_some(one)}"
        for one in versions
    ]


def _some(one: Mapping[str, Any]) -> str:
    more = one["tenants"] - len(one["some"])
    return ", ".join(one["some"]) + (f" and {more} more" if more > 0 else "")


def _pricing(meter: str, state: State, catalog: Catalog) -> list[str]:
    """The plans that price a meter."""
    bodies = {**state.plans, **{item.name: item.body for item in catalog["plans"]}}
    found = sorted(slug for slug, body in bodies.items() if meter in _meters(body))
    return [f"priced by {', '.join(found)}"] if found else []


def _meters(body: Any) -> set[str]:
    """The meters that a plan's prices, or those of its add-ons, name."""
    if not isinstance(body, Mapping):
        return set()
    prices = [one for one in body.get("prices") or [] if isinstance(one, Mapping)]
    priced = {str(price["meter"]) for price in prices if price.get("meter")}
    return priced.union(*(_meters(add_on) for add_on in body.get("add_ons") or []))


def _held(rule: Mapping[str, Any], state: State) -> list[str]:
    """Whom a rule concerns."""
    target = rule["applies_to"]
    if "plan" in target:
        versions = state.subscribed.get(target["plan"], [])
        named = [f"version {one['version']}: {_some(one)}" for one in versions]
        return [f"tenants on plan {target['plan']}", *named]
    return [f"tenant {target['tenant']}" if "tenant" in target else "all tenants"]
