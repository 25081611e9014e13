"""What the services hold: meters, plans and rules in canonical form."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class State:
    """By kind and name. `revision`: of rating's catalog. `subscribed`: who is on which version of
    a plan, as rating says it."""

    revision: int
    meters: Mapping[str, dict[str, Any]]
    plans: Mapping[str, dict[str, Any]]
    rules: Mapping[str, dict[str, Any]]
    subscribed: Mapping[str, list[dict[str, Any]]]

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
    return State(
        revision=told["revision"],
        meters={
            one["slug"]: canonical("meters", one)
            for one in client.each(calls.aggregator.meter_bodies())
        },
        plans={one["slug"]: one for one in told["plans"]},
        rules={
            one["slug"]: canonical("rules", one)
            for one in client.each(calls.throttler.rule_bodies())
        },
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
