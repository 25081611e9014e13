"""The variants of plans that subscriptions are on, read once: published versions never change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from rating.billing import PlanKey, PlanVersion
from rating.plan import read_plan
from rating.prices.fields import FieldError, grave
from rating.store import plans
from rating.store.plans import PlanRow
from rating.variants import in_currency, with_fields

MOST: Final = 5_000
"""Variants that are kept; tenants with prices of their own could make any number."""


class PlanBook:
    """Variants by key; it can be lost at any time."""

    def __init__(self) -> None:
        self._known: dict[PlanKey, PlanVersion] = {}

    async def load(self, connection: Any, keys: Iterable[PlanKey]) -> Mapping[PlanKey, PlanVersion]:
        """Those variants; raises KeyError where there is no such version."""
        wanted = set(keys)
        missing = wanted - self._known.keys()
        if missing:
            if len(self._known) + len(missing) > MOST:
                self._known = {key: self._known[key] for key in wanted & self._known.keys()}
            versions = {(key.plan, key.version) for key in missing}
            rows = {
                (row.plan, row.version): row for row in await plans.versions(connection, versions)
            }
            for key in missing:
                self._known[key] = variant(rows[key.plan, key.version], key)
        return {key: self._known[key] for key in wanted}


class NoVariant(ValueError):
    """A plan cannot be sold that way; `errors` say where in `body`, the plan as it would be."""

    def __init__(
        self, message: str, errors: Sequence[FieldError] = (), body: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.errors, self.body = list(errors), body or {}


def variant(row: PlanRow, key: PlanKey) -> PlanVersion:
    """A published version in the currency, and with the prices, of a key; raises `NoVariant`."""
    body = in_currency(row.body, key.currency)
    if body is None:
        raise NoVariant(f"plan {row.plan} version {row.version} is not sold in {key.currency}")
    if key.overrides:
        fields = {slug: msgspec.json.decode(said) for slug, said in key.overrides}
        body = with_fields(body, fields)
    plan, errors = read_plan(body)
    if grave(errors):
        said = "; ".join(f"{one.path}: {one.message}" for one in errors[:5])
        raise NoVariant(f"plan {row.plan} version {row.version} cannot be so: {said}", errors, body)
    return PlanVersion(row.plan, row.version, plan, row.units, key.overrides, tuple(errors))
