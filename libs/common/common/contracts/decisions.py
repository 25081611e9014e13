"""`throttle.decisions`: what the edges may let through; one current decision a tenant, action."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from common.contracts.wire import Contract, decode

State = Literal["allow", "throttle", "deny"]
FailureKind = Literal["fail_open", "fail_closed", "safe_rate", "last_known"]


class OnFailure(msgspec.Struct, kw_only=True, frozen=True):
    """What an edge does with the tenant while the centre is silent.

    safe_rate   lets `rate` units a second through, `burst` at once.
    last_known  goes on with the last decision for `max_age_seconds`, then fails open.
    """

    kind: FailureKind
    rate: Decimal | None = None
    burst: int | None = None
    max_age_seconds: int | None = None


class Shadow(msgspec.Struct, kw_only=True, frozen=True):
    """What a rule in shadow mode would decide; it never blocks."""

    rule: str
    rule_version: int
    state: State
    status: int = 200
    meter: str | None = None
    usage: Decimal | None = None
    limit: Decimal | None = None
    window: str | None = None
    window_end: datetime | None = None
    rate: Decimal | None = None
    burst: int | None = None


class Decision(Contract, kw_only=True, frozen=True):
    """The current decision for one tenant and action ("all": every request).

    revision     grows with every decision, over all tenants.
    status       what a refused request gets: 429, 402 (prepaid exhausted) or 403 (blocked).
    rate, burst  units a second and units at once, when throttled.
    usage, limit what the rule compared, in the meter's unit, as of `as_of` (the newest usage seen).
    window_end   when the usage starts again from zero; None for a rule without an end.
    expires_at   from then on the edge lets the tenant through until it hears otherwise.
    retry_after  seconds from `decided_at` to `window_end`.
    """

    tenant: str
    state: State
    revision: int
    decided_at: datetime
    action: str = "all"
    status: int = 200
    rate: Decimal | None = None
    burst: int | None = None
    rule: str | None = None
    rule_version: int | None = None
    mode: Literal["enforce", "shadow"] = "enforce"
    reason: str = ""
    meter: str | None = None
    usage: Decimal | None = None
    limit: Decimal | None = None
    window: str | None = None
    window_end: datetime | None = None
    as_of: datetime | None = None
    expires_at: datetime | None = None
    retry_after: int | None = None
    on_failure: OnFailure | None = None
    shadow: tuple[Shadow, ...] = ()


def decision_key(tenant: str, action: str = "all") -> str:
    """The record key: tenant and action."""
    return f"{tenant}|{action}"


def decode_decision(data: bytes) -> Decision:
    """The decision in a record's value; raises `UnknownVersion` for one from the future."""
    return decode(Decision, data)
