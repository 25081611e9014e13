"""Rules: what an operator declares about a meter, and whom it concerns. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from common.contracts.decisions import OnFailure
from common.contracts.tenants import Tenant, TenantSubscription

WindowKind = Literal["minute", "hour", "day", "month", "billing_period"]
Mode = Literal["enforce", "shadow"]
LAST_KNOWN = OnFailure(kind="last_known")


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """`all` has no `name`; `tenant` names a tenant's key, `plan` a plan's slug (any version)."""

    kind: Literal["all", "tenant", "plan"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse every request with `status`: 429, 402 (prepaid quota) or 403 (blocked)."""

    status: int = 429


@dataclass(frozen=True, slots=True)
class Throttle:
    """Let `rate` (> 0) units a second through, `burst` (>= 1) at once."""

    rate: Decimal
    burst: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule; versions never change.

    limit       units of the meter in a window (>= 0); the rule takes hold at usage >= limit.
                0 holds always.
    release     the rule lets go again within a window when usage < release (<= limit). Equal to
                `limit` unless set: usage that only grows needs no hysteresis, a gauge does.
    on_failure  what an edge does with the tenant while it cannot hear the throttler.
    """

    slug: str
    version: int
    meter: str
    applies_to: AppliesTo
    window: WindowKind
    limit: Decimal
    action: Deny | Throttle
    mode: Mode = "enforce"
    on_failure: OnFailure = LAST_KNOWN
    release: Decimal | None = None

    @property
    def release_below(self) -> Decimal:
        return self.limit if self.release is None else self.release


def active_subscriptions(tenant: Tenant | None, now: datetime) -> list[TenantSubscription]:
    """The tenant's subscriptions that run at `now`, the earliest begun first."""
    if tenant is None:
        return []
    running = [
        subscription
        for subscription in tenant.subscriptions
        if subscription.start <= now and (subscription.end is None or now < subscription.end)
    ]
    return sorted(running, key=lambda subscription: (subscription.start, subscription.id))


def applicable(rules: Iterable[Rule], key: str, tenant: Tenant | None, now: datetime) -> list[Rule]:
    """The rules that concern the tenant `key` at `now`, by slug.

    A tenant that the catalog does not know (yet) has no plan; rules for all tenants and rules
    that name it concern it all the same, because its usage is kept and billed later.
    """
    plans = {subscription.plan for subscription in active_subscriptions(tenant, now)}

    def concerns(target: AppliesTo) -> bool:
        if target.kind == "plan":
            return target.name in plans
        return target.kind == "all" or target.name == key

    return sorted((rule for rule in rules if concerns(rule.applies_to)), key=lambda rule: rule.slug)
