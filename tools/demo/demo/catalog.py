"""The demo's catalog: the YAML beside this file, with dates that make sense today."""

from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

SUBSCRIBED_DAYS = 10
"""The subscriptions began this many days ago, so that a fee is prorated."""


def load(now: datetime) -> dict[str, Any]:
    """The catalog as `tollgate apply` takes it. Each tenant's billing day is the local day on
    which its subscription began, so that one period covers the demo."""
    text = (resources.files("demo") / "catalog.yaml").read_text(encoding="utf-8")
    catalog: dict[str, Any] = yaml.safe_load(text)
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=SUBSCRIBED_DAYS)
    for tenant in catalog["tenants"]:
        tenant["billing_day"] = start.astimezone(ZoneInfo(tenant["timezone"])).day
    for subscription in catalog["subscriptions"]:
        subscription["start"] = start.isoformat().replace("+00:00", "Z")
    return catalog


def write(catalog: dict[str, Any], path: Path) -> Path:
    """The catalog as a file for `tollgate apply -f`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(catalog, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def by_slug(catalog: dict[str, Any], kind: str, slug: str) -> dict[str, Any]:
    """A plan, meter or rule (by slug) or a tenant (by key)."""
    found: dict[str, Any] = next(
        item for item in catalog[kind] if slug in (item.get("slug"), item.get("key"))
    )
    return found


def plan_of(catalog: dict[str, Any], tenant: str) -> dict[str, Any]:
    """The plan that a tenant subscribes to."""
    subscription = next(s for s in catalog["subscriptions"] if s["tenant"] == tenant)
    return by_slug(catalog, "plans", subscription["plan"])
