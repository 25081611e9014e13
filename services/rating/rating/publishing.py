"""Plans are published together: all or none, in one transaction and one revision."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rating.plan import Plan, read_plan
from rating.prices.fields import FieldError, grave
from rating.store import catalog, plans
from rating.store.plans import PlanRow

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A plan to publish. `units`: of its meters."""

    slug: str
    body: Mapping[str, Any]
    plan: Plan
    units: Mapping[str, str]


@dataclass(frozen=True)
class Published:
    """What became of it, or would: `before` is the newest version until then, `after` what says
    the same as is wanted, the same row where nothing changes."""

    wanted: Wanted
    before: PlanRow | None
    after: PlanRow | None

    @property
    def is_new(self) -> bool:
        """Whether a version is made."""
        return self.after is None or self.before is None or self.after is not self.before


class RevisionChanged(Exception):
    """The catalog is not at the revision that was expected."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"the catalog is at revision {found}, not at {expected}")


def says_the_same(row: PlanRow, plan: Plan) -> bool:
    """Whether a version says what is wanted, however its decimals are written."""
    return read_plan(row.body)[0] == plan


async def faults(
    connection: Any, slug: str, plan: Plan, wrong: Sequence[FieldError]
) -> list[FieldError]:
    """What of `wrong` stands in the way of publishing `plan`. What says the same as the newest
    version makes no new one, so it may have what was tolerated there."""
    if len(grave(wrong)) == len(wrong):
        return list(wrong)
    newest = await plans.newest(connection, slug)
    if newest is None or not says_the_same(newest, plan):
        return list(wrong)
    stored = read_plan(newest.body)[1]
    return [error for error in wrong if not error.tolerated or error not in stored]


async def publish(
    tx: Any,
    wanted: Sequence[Wanted],
    *,
    expected: int | None = None,
    actor: str = "",
    reason: str = "",
) -> tuple[int, list[Published]]:
    """The catalog's revision, and what became of each plan. Nothing changes where all plans say
    what they said. Raises `RevisionChanged` when something would change and the catalog is not at
    `expected`: who asks again because an answer was lost is told the same."""
    revision = await catalog.lock(tx)
    made: list[Published] = []
    versions: dict[str, int] = {}
    for one in wanted:
        before = await plans.lock(tx, one.slug)
        if before is not None and says_the_same(before, one.plan):
            made.append(Published(one, before, before))
            continue
        if expected is not None and expected != revision:
            raise RevisionChanged(expected, revision)
        version = before.version + 1 if before is not None else 1
        after = await plans.publish(tx, one.slug, version, without_nulls(one.body), dict(one.units))
        versions[one.slug] = version
        made.append(Published(one, before, after))
    if versions:
        revision += 1
        await catalog.record(tx, revision, versions, actor=actor, reason=reason)
    return revision, made


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's body without the fields of prices that are null, which are fields left out: other
    processes may be of a version that refuses some of them."""
    said = dict(body)
    if isinstance(said.get("prices"), list):
        said["prices"] = [_said(price) for price in said["prices"]]
    if isinstance(said.get("add_ons"), list):
        said["add_ons"] = [without_nulls(add_on) for add_on in said["add_ons"]]
    return said


def _said(price: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in price.items() if value is not None}


def log_published(revision: int, made: Sequence[Published], actor: str, reason: str) -> None:
    """Once it is committed, where anything has changed."""
    versions = [
        f"{one.wanted.slug} {one.after.version}" for one in made if one.is_new and one.after
    ]
    if versions:
        said = f" ({reason})" if reason else ""
        log.info(
            "catalog revision %d by %s%s: %s",
            revision,
            actor or "an unnamed caller",
            said,
            ", ".join(versions),
        )


async def foresee(connection: Any, wanted: Sequence[Wanted]) -> tuple[int, list[Published]]:
    """What `publish` would do; nothing is changed, not even locked."""
    made = []
    for one in wanted:
        before = await plans.newest(connection, one.slug)
        same = before is not None and says_the_same(before, one.plan)
        made.append(Published(one, before, before if same else None))
    return await catalog.revision(connection), made
