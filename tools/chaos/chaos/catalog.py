"""What is metered, sold and limited in a run."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

EVENT_TYPE = "http.request"
SUBSCRIBED_DAYS = 10
"""Subscriptions began so many days ago, at midnight UTC; late events are younger."""

METERS: dict[str, dict[str, Any]] = {
    "requests": {"aggregation": "count", "unit": "request", "group_by": {"host": "host"}},
    "bytes": {"aggregation": "sum", "value": "bytes", "unit": "byte"},
    "seconds": {"aggregation": "sum", "value": "request_time", "unit": "second"},
    "peak": {
        "aggregation": "max",
        "value": "bytes",
        "unit": "byte",
        "group_by": {"host": "host"},
    },
    "pages": {"aggregation": "unique_count", "value": "uri", "unit": "page"},
}
PROBE_METER = "peak"
PROBE_TENANT = "probe"
STRANGER = "stranger"
"""A tenant that the catalog does not know; its usage is counted all the same."""

TENANTS: dict[str, dict[str, Any]] = {
    "aurora": {"name": "Aurora Maps GmbH", "currency": "EUR", "timezone": "Europe/Berlin"},
    "basalt": {"name": "Basalt Inc.", "currency": "USD", "timezone": "America/New_York"},
    "cobalt": {"name": "Cobalt K.K.", "currency": "JPY", "timezone": "Asia/Tokyo"},
    "delta": {"name": "Delta Sp. z o.o.", "currency": "EUR", "timezone": "Europe/Warsaw"},
}
PLANS: dict[str, dict[str, Any]] = {
    "standard": {
        "name": "Standard",
        "currency": "EUR",
        "prices": [
            {"slug": "fee", "model": "flat", "amount": "49.00"},
            {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.0023"},
            {"slug": "traffic", "meter": "bytes", "model": "unit", "unit_amount": "0.0000021"},
        ],
    },
    "scale": {
        "name": "Scale",
        "currency": "USD",
        "prices": [
            {"slug": "fee", "model": "flat", "amount": "20.00"},
            {
                "slug": "requests",
                "meter": "requests",
                "model": "graduated",
                "tiers": [
                    {"up_to": "50", "unit_amount": "0.07", "flat_amount": "1.00"},
                    {"up_to": "500", "unit_amount": "0.013", "flat_amount": "0"},
                    {"up_to": None, "unit_amount": "0.0041", "flat_amount": "0"},
                ],
            },
            {"slug": "compute", "meter": "seconds", "model": "unit", "unit_amount": "0.37"},
        ],
    },
    "yen": {
        "name": "Yen",
        "currency": "JPY",
        "prices": [
            {"slug": "fee", "model": "flat", "amount": "5000"},
            {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.7"},
        ],
    },
}
SUBSCRIPTIONS = {"aurora": "standard", "basalt": "scale", "cobalt": "yen", "delta": "standard"}
RULES: dict[str, dict[str, Any]] = {
    "busy-minute": {
        "meter": "requests",
        "applies_to": {"all": True},
        "window": "minute",
        "limit": "200",
        "action": {"kind": "throttle", "rate": "5", "burst": 10},
        "mode": "enforce",
        "on_failure": {"kind": "last_known", "max_age_seconds": 3600},
    },
    "quota": {
        "meter": "requests",
        "applies_to": {"plan": "yen"},
        "window": "billing_period",
        "limit": "400",
        "action": {"kind": "deny", "status": 429},
        "mode": "enforce",
        "on_failure": "fail_open",
    },
}
"""Decisions that change all the time: with every minute, and with every period that is billed."""


def start_of_subscriptions(now: datetime) -> datetime:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=SUBSCRIBED_DAYS)


def tenant_body(key: str, start: datetime) -> dict[str, Any]:
    """The tenant, with the local day on which its subscription began as its billing day."""
    tenant = TENANTS[key]
    return tenant | {"billing_day": start.astimezone(ZoneInfo(tenant["timezone"])).day}
