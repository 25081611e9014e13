"""throttle.decisions: what each tenant may do now, as the edges enforce it."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from common.bus.types import Record
from common.contracts import wire

State = Literal["allow", "throttle", "deny"]


class OnFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an edge does when the decision has expired and the centre is silent.

    `rate` (a second) belongs to safe_rate; `max_age_seconds` to last_known, after which the
    edge allows.
    """

    kind: Literal["fail_open", "fail_closed", "safe_rate", "last_known"] = "last_known"
    rate: Decimal | None = None
    max_age_seconds: int | None = None


class ShadowVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule in shadow mode would have decided."""

    rule: str
    rule_version: int
    state: State
    usage: Decimal
    limit: Decimal


class Decision(wire.Contract, frozen=True, kw_only=True):
    """`status`: what a refused request gets (429, 402, 403). `rate`: requests a second, `burst`:
    requests, for throttle. `usage` is what was seen at `as_of` (the watermark of the usage);
    `decided_at` − `as_of` is the staleness. `retry_after`: seconds from `decided_at` until the
    window ends. `revision` grows with every decision of any tenant and never goes back."""

    tenant: str
    action: str = "all"
    state: State
    status: int = 200
    rate: Decimal | None = None
    burst: int | None = None
    rule: str | None = None
    rule_version: int | None = None
    mode: str = "enforce"
    reason: str = ""
    meter: str | None = None
    usage: Decimal | None = None
    limit: Decimal | None = None
    window: str | None = None
    window_end: datetime | None = None
    as_of: datetime | None = None
    decided_at: datetime
    expires_at: datetime | None = None
    retry_after: int | None = None
    revision: int = 0
    on_failure: OnFailure = OnFailure()
    shadow: list[ShadowVerdict] = []


def decision_key(tenant: str, action: str = "all") -> str:
    """The record key: one current decision a tenant and action."""
    return f"{tenant}|{action}"


def decision_record(decision: Decision) -> Record:
    """The record of a decision."""
    return wire.record(decision_key(decision.tenant, decision.action), decision)
