"""What the catalog's API accepts and returns."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rating.plan import read_plan
from rating.publishing import Published
from rating.schemas import Slug, Strict
from rating.store.catalog import RevisionRow, Subscribed
from rating.store.plans import PlanRow


class CatalogPlan(BaseModel):
    """A plan as `PUT /v1/plans/{slug}` takes it, with its slug."""

    model_config = ConfigDict(extra="allow")

    slug: Slug

    @property
    def body(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ToldMeter(Strict):
    """Of a meter that is about to be defined: what decides how it can be priced."""

    aggregation: str = Field(max_length=100)
    group_by: dict[str, str] = {}
    unit: str = ""


class CatalogIn(Strict):
    revision: int | None = Field(None, ge=0, strict=True)
    plans: list[CatalogPlan] = Field(max_length=10_000)
    meters: dict[str, str | ToldMeter] = Field(
        default={},
        description="Meters that are about to be defined, by slug: what they will be, or only "
        "their unit.",
    )
    reason: str = Field("", max_length=500, description="Kept with the revision.")
    by: str = Field("", max_length=200, description="Kept with the revision.")


class SubscribedOut(BaseModel):
    """Who is, or will be, on a version. `some`: the first tenants, by key."""

    version: int
    subscriptions: int
    tenants: int
    some: list[str]


class CatalogOut(BaseModel):
    """`plans`: canonical, each with its slug and without its version. `versions`: by slug."""

    revision: int
    plans: list[dict[str, Any]]
    versions: dict[str, int]
    subscribed: dict[str, list[SubscribedOut]]

    @classmethod
    def of(
        cls, revision: int, rows: Sequence[PlanRow], subscribed: Iterable[Subscribed]
    ) -> "CatalogOut":
        return cls(
            revision=revision,
            plans=[canonical(row) for row in rows],
            versions={row.plan: row.version for row in rows},
            subscribed=_by_plan(subscribed),
        )


class PublishedPlan(BaseModel):
    """`version`: that it has now, or would have. `before`, `after`: canonical."""

    slug: str
    change: Literal["created", "changed", "unchanged"]
    version: int
    before: dict[str, Any] | None
    after: dict[str, Any]
    subscribed: list[SubscribedOut]


class PublishedOut(BaseModel):
    revision: int
    dry_run: bool
    plans: list[PublishedPlan]

    @classmethod
    def of(
        cls,
        revision: int,
        dry_run: bool,
        made: Iterable[Published],
        subscribed: Iterable[Subscribed],
    ) -> "PublishedOut":
        by_plan = _by_plan(subscribed)
        return cls(
            revision=revision,
            dry_run=dry_run,
            plans=[_published(one, by_plan.get(one.wanted.slug, [])) for one in made],
        )


class RevisionOut(BaseModel):
    """`plans`: the versions that it published, by slug."""

    revision: int
    applied_at: datetime
    by: str
    reason: str
    plans: dict[str, int]


class RevisionList(BaseModel):
    items: list[RevisionOut]
    next: str | None

    @classmethod
    def of(cls, rows: Iterable[RevisionRow], following: str | None) -> "RevisionList":
        return cls(
            items=[
                RevisionOut(
                    revision=row.revision,
                    applied_at=row.applied_at,
                    by=row.actor,
                    reason=row.reason,
                    plans=row.plans,
                )
                for row in rows
            ],
            next=following,
        )


def canonical(row: PlanRow) -> dict[str, Any]:
    """A version as an export says it."""
    return {"slug": row.plan, **read_plan(row.body)[0].canonical()}


def _published(one: Published, subscribed: list[SubscribedOut]) -> PublishedPlan:
    before = one.before
    change: Literal["created", "changed", "unchanged"] = "unchanged"
    if one.is_new:
        change = "created" if before is None else "changed"
    version = one.after.version if one.after is not None else (before.version if before else 0) + 1
    return PublishedPlan(
        slug=one.wanted.slug,
        change=change,
        version=version,
        before=None if before is None else canonical(before),
        after={"slug": one.wanted.slug, **one.wanted.plan.canonical()},
        subscribed=subscribed,
    )


def _by_plan(subscribed: Iterable[Subscribed]) -> dict[str, list[SubscribedOut]]:
    made: dict[str, list[SubscribedOut]] = {}
    for one in subscribed:
        made.setdefault(one.plan, []).append(
            SubscribedOut(
                version=one.version,
                subscriptions=one.subscriptions,
                tenants=one.tenants,
                some=one.some,
            )
        )
    return made
