"""What the API accepts and returns."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from common.contracts.decisions import OnFailure
from common.money import plain
from throttler.rules import AppliesTo, Deny, Rule, Throttle, WindowKind

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")
SLUG = r"^[a-z0-9][a-z0-9._-]{0,62}$"
NAME = r"^[^\x00-\x1f\x7f]{1,256}$"


def _exact(value: object) -> Decimal:
    """A string such as "12.50", or a whole JSON number; never a float."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise ValueError(
        'must be a decimal >= 0 as a string, such as "1000" or "0.5" '
        "(at most 20 digits before and 18 after the point), or a whole number"
    )


Exact = Annotated[Decimal, BeforeValidator(_exact), PlainSerializer(plain, return_type=str)]
PositiveExact = Annotated[Exact, Field(gt=0)]
Burst = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AppliesToIn(Strict):
    """Exactly one of the three."""

    tenant: Annotated[str, Field(pattern=NAME)] | None = None
    plan: Annotated[str, Field(pattern=NAME)] | None = None
    all: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return {"all": True} if value == "all" else value

    @model_validator(mode="after")
    def _one(self) -> "AppliesToIn":
        if sum(part is not None for part in (self.tenant, self.plan, self.all)) != 1:
            raise ValueError('name exactly one: {"tenant": KEY}, {"plan": SLUG} or {"all": true}')
        return self


class DenyIn(Strict):
    """Refuse everything; `status` is what the refused request gets."""

    kind: Literal["deny"]
    status: Literal[402, 403, 429] = 429


class ThrottleIn(Strict):
    """Let `rate` requests a second through, `burst` at once."""

    kind: Literal["throttle"]
    rate: PositiveExact
    burst: Burst


class OnFailureIn(Strict):
    """What an edge does with the tenant while it cannot hear the throttler."""

    kind: Literal["fail_open", "fail_closed", "safe_rate", "last_known"]
    rate: PositiveExact | None = None
    burst: Burst | None = None
    max_age_seconds: Annotated[int, Field(ge=1, le=31_536_000, strict=True)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_of_kind(self) -> "OnFailureIn":
        if (self.kind == "safe_rate") != (self.rate is not None):
            raise ValueError("`rate` belongs to safe_rate, which needs it")
        if self.burst is not None and self.kind != "safe_rate":
            raise ValueError("`burst` belongs to safe_rate")
        if self.max_age_seconds is not None and self.kind != "last_known":
            raise ValueError("`max_age_seconds` belongs to last_known")
        return self


class RuleIn(Strict):
    """A rule as the operator writes it."""

    meter: Annotated[str, Field(pattern=NAME)]
    applies_to: AppliesToIn
    window: WindowKind
    limit: Exact
    action: Annotated[DenyIn | ThrottleIn, Field(discriminator="kind")]
    mode: Literal["enforce", "shadow"] = "enforce"
    on_failure: OnFailureIn = OnFailureIn(kind="last_known")
    release: Exact | None = None

    @model_validator(mode="after")
    def _release_at_most_limit(self) -> "RuleIn":
        if self.release is not None and self.release > self.limit:
            raise ValueError("`release` must not be above `limit`")
        return self

    def canonical(self) -> dict[str, Any]:
        """The body as stored and shown: decimals as plain strings, nothing that is not set."""
        return self.model_dump(mode="json", exclude_none=True)

    def rule(self, slug: str, version: int) -> Rule:
        """As the domain knows it."""
        target = self.applies_to
        failure = self.on_failure
        return Rule(
            slug=slug,
            version=version,
            meter=self.meter,
            applies_to=(
                AppliesTo("tenant", target.tenant)
                if target.tenant is not None
                else AppliesTo("plan", target.plan)
                if target.plan is not None
                else AppliesTo("all")
            ),
            window=self.window,
            limit=self.limit,
            action=(
                Deny(self.action.status)
                if isinstance(self.action, DenyIn)
                else Throttle(self.action.rate, self.action.burst)
            ),
            mode=self.mode,
            on_failure=OnFailure(
                kind=failure.kind,
                rate=failure.rate,
                burst=failure.burst,
                max_age_seconds=failure.max_age_seconds,
            ),
            release=self.release,
        )


class RuleOut(RuleIn):
    """A rule's current version."""

    slug: str
    version: int
    updated_at: datetime


class RuleVersion(BaseModel):
    """One entry of a rule's history; `rule` is absent where the rule was deleted."""

    version: int
    created_at: datetime
    deleted: bool
    rule: dict[str, Any] | None = None


class RuleList(BaseModel):
    items: list[RuleOut]
    next: str | None = None


class RuleHistory(BaseModel):
    items: list[RuleVersion]
    next: str | None = None
