"""What an edge answers to one request: the verdict, its headers and its problem document."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from common.contracts.decisions import Decision

PROBLEM_MEDIA_TYPE = "application/problem+json"

_PROBLEMS: Mapping[int, tuple[str, str]] = {
    402: ("payment_required", "The prepaid quota is used up"),
    403: ("forbidden", "The tenant is blocked"),
    429: ("limit_exceeded", "The limit is reached"),
    503: ("enforcement_unavailable", "The limit cannot be checked now"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one request at one moment.

    status       200 when allowed, otherwise 402, 403, 429 or 503.
    retry_after  whole seconds (>= 1) until another try makes sense; None when no time is known.
    decision     the decision it rests on; None for a tenant without one.
    reason       one sentence for people.
    shadow       slugs of the shadow rules that would have refused or slowed this request.
    """

    allowed: bool
    status: int = 200
    retry_after: int | None = None
    decision: Decision | None = None
    reason: str = ""
    shadow: tuple[str, ...] = ()

    def headers(self) -> dict[str, str]:
        """Retry-After, RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).

        Empty for an allowed request without a decision. The names are in lower case.
        """
        headers: dict[str, str] = {}
        if not self.allowed and self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        decision = self.decision
        if decision is None or decision.rule is None or decision.limit is None:
            return headers
        quota = _whole(decision.limit)
        left = max(0, quota - _whole(decision.usage or Decimal(0)))
        headers["ratelimit-policy"] = f'"{decision.rule}";q={quota}'
        headers["ratelimit"] = f'"{decision.rule}";r={left if self.allowed else 0}'
        if self.retry_after is not None:
            headers["ratelimit"] += f";t={self.retry_after}"
        return headers

    def problem(self) -> dict[str, Any]:
        """The problem+json body (RFC 9457) of a refusal; names the rule, its limit and the usage.

        Decimals are strings, times RFC 3339 UTC; members without a value are left out.
        """
        code, title = _PROBLEMS.get(self.status, ("refused", "The request is refused"))
        body: dict[str, Any] = {
            "type": f"urn:tollgate:error:{code}",
            "title": title,
            "status": self.status,
            "code": code,
            "detail": self.reason,
            "retry_after": self.retry_after,
        }
        decision = self.decision
        if decision is not None:
            body |= {
                "tenant": decision.tenant,
                "rule": decision.rule,
                "rule_version": decision.rule_version,
                "meter": decision.meter,
                "usage": _plain(decision.usage),
                "limit": _plain(decision.limit),
                "window": decision.window,
                "window_end": _instant(decision.window_end),
                "as_of": _instant(decision.as_of),
                "revision": decision.revision,
            }
        return {name: value for name, value in body.items() if value is not None}


ALLOWED = Verdict(allowed=True, reason="no rule applies")


def _whole(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_FLOOR))


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _instant(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
