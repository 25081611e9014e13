"""Calls to the aggregator: meters and usage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from tollgate.call import Call, get, query, segment, send
from tollgate.models import Meter, Page, UsagePage

Window = Literal["minute", "hour", "day", "month", "none"]


def put_meter(slug: str, body: Mapping[str, Any]) -> Call[Meter]:
    """Define a meter; a change of meaning is a `Conflict`."""
    return send("aggregator", "PUT", f"/v1/meters/{segment(slug)}", Meter, body)


def put_meter_body(
    slug: str, body: Mapping[str, Any], *, dry_run: bool = False, in_force: int | None = None
) -> Call[dict[str, Any]]:
    """As `put_meter`, with all that the service says; a dry run changes nothing. `in_force`: the
    revision that is replaced, 0 for none; where it is another one, a `Conflict`."""
    path = f"/v1/meters/{segment(slug)}"
    call: Call[dict[str, Any]] = send("aggregator", "PUT", path, dict[str, Any], body)
    return replace(call, params=query({"dry_run": dry_run or None, "in_force": in_force}))


def meter_bodies(*, limit: int | None = None) -> Call[Page[dict[str, Any]]]:
    """All meters, with all that the service says."""
    return get("aggregator", "/v1/meters", Page[dict[str, Any]], limit=limit)


def meter(slug: str) -> Call[Meter]:
    """A meter's definition."""
    return get("aggregator", f"/v1/meters/{segment(slug)}", Meter)


def meters(*, limit: int | None = None) -> Call[Page[Meter]]:
    """All meters."""
    return get("aggregator", "/v1/meters", Page[Meter], limit=limit)


def usage(
    meter: str,
    *,
    tenant: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    window: Window = "none",
    group_by: Sequence[str] | None = None,
    filters: Mapping[str, str] | None = None,
    timezone: str | None = None,
    limit: int | None = None,
) -> Call[UsagePage]:
    """Usage of a meter in [`start`, `end`), by window and group."""
    call: Call[UsagePage] = get(
        "aggregator",
        "/v1/usage",
        UsagePage,
        meter=meter,
        tenant=tenant,
        from_=start,
        to=end,
        window=window,
        group_by=list(group_by) if group_by else None,
        timezone=timezone,
        limit=limit,
        **{f"filter.{name}": value for name, value in (filters or {}).items()},
    )
    return call


def events_behind(query: Mapping[str, str]) -> Call[Page[dict[str, Any]]]:
    """The events behind usage; `query` as a row of an explanation names it."""
    return get("aggregator", "/v1/usage/events", Page[dict[str, Any]], **query)
