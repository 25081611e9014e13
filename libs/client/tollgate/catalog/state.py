"""What the services hold: meters, plans and rules in canonical form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from tollgate import calls
from tollgate.client import Client

_METER: Final = ("slug", "event_type", "aggregation", "value", "group_by", "unit")
_RULE: Final = (
    "slug",
    "meter",
    "applies_to",
    "window",
    "limit",
    "action",
    "mode",
    "on_failure",
    "release",
)
_OF_THE_SERVICE: Final = ("version", "revision", "updated_at", "created_at")
"""What a service says beside the body."""
DIGITS: Final = 12
"""Of a state's digest: 48 bits, against mistakes and not against malice."""


@dataclass(frozen=True)
class State:
    """By kind and name. `plans_revision`: of rating's catalog. `in_force`: by kind and slug, the
    revision of a meter or the version of a rule. `subscribed`: who is on which version of a plan,
    as rating says it."""

    plans_revision: int
    meters: Mapping[str, dict[str, Any]]
    plans: Mapping[str, dict[str, Any]]
    rules: Mapping[str, dict[str, Any]]
    in_force: Mapping[tuple[str, str], int]
    subscribed: Mapping[str, list[dict[str, Any]]]

    @property
    def revision(self) -> str:
        """`41-9f2c81d07a3b`: the revision of the plans, then a digest of everything: meters and
        rules have no revision of their own. Equal revisions are equal catalogs."""
        content = json.dumps(self.catalog(), sort_keys=True, separators=(",", ":"))
        return f"{self.plans_revision}-{sha256(content.encode()).hexdigest()[:DIGITS]}"

    def is_at(self, revision: str) -> bool:
        """Whether it is at a revision, of which the number alone says something of plans only."""
        return revision in (self.revision, str(self.plans_revision))

    def catalog(self) -> dict[str, list[dict[str, Any]]]:
        """As a catalog, each kind by name."""
        return {
            kind: [found[name] for name in sorted(found)]
            for kind, found in (
                ("meters", self.meters),
                ("plans", self.plans),
                ("rules", self.rules),
            )
        }


def look(client: Client) -> State:
    """What there is now."""
    told = client.perform(calls.rating.catalog())
    meters = list(client.each(calls.aggregator.meter_bodies()))
    rules = list(client.each(calls.throttler.rule_bodies()))
    return State(
        plans_revision=told["revision"],
        meters={one["slug"]: canonical("meters", one) for one in meters},
        plans={one["slug"]: one for one in told["plans"]},
        rules={one["slug"]: canonical("rules", one) for one in rules},
        in_force={("meters", one["slug"]): one["revision"] for one in meters}
        | {("rules", one["slug"]): one["version"] for one in rules},
        subscribed=told["subscribed"],
    )


def canonical(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A meter or a rule as an export says it: fields in one order, nothing that is not said."""
    order = _METER if kind == "meters" else _RULE
    names = [*order, *sorted(set(body) - set(order) - set(_OF_THE_SERVICE))]
    return {name: _ordered(body[name]) for name in names if body.get(name) not in (None, "", {})}


def _ordered(value: Any) -> Any:
    """Fields by name, the kind of a thing first."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (name != "kind", name))
        return {name: _ordered(value[name]) for name in names if value[name] is not None}
    return [_ordered(one) for one in value] if isinstance(value, list) else value
