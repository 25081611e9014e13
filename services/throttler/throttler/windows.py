"""The window that a rule looks at: bounds in UTC, by the tenant's time zone. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from common.contracts.tenants import Tenant
from common.periods import calendar_period, day_start, periods
from throttler.rules import Rule, active_subscriptions


@dataclass(frozen=True, slots=True)
class Window:
    """[`start`, `end`) in UTC, whole minutes."""

    start: datetime
    end: datetime


def zone_of(tenant: Tenant | None) -> ZoneInfo:
    """The tenant's time zone; UTC for an unknown tenant or a zone that this machine lacks."""
    try:
        return ZoneInfo(tenant.timezone) if tenant else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def window_of(rule: Rule, tenant: Tenant | None, now: datetime) -> Window:
    """The rule's window that contains `now`."""
    zone = zone_of(tenant)
    match rule.window:
        case "minute":
            start = now.astimezone(UTC).replace(second=0, microsecond=0)
            return Window(start, start + timedelta(minutes=1))
        case "hour":
            return _hour(now, zone)
        case "day":
            today = now.astimezone(zone).date()
            return Window(day_start(today, zone), day_start(today + timedelta(days=1), zone))
        case "month":
            return Window(*calendar_period(now, 1, zone))
        case "billing_period":
            return _billing_period(rule, tenant, zone, now)


def next_change(rules: list[Rule], tenant: Tenant | None, now: datetime) -> datetime | None:
    """When time alone may change the tenant's decision: a window ends, a subscription begins or
    ends. None: never."""
    moments = [window_of(rule, tenant, now).end for rule in rules]
    if tenant is not None:
        for subscription in tenant.subscriptions:
            moments.append(subscription.start)
            if subscription.end is not None:
                moments.append(subscription.end)
    return min((moment for moment in moments if moment > now), default=None)


def _hour(now: datetime, zone: ZoneInfo) -> Window:
    """Local clock hours: zones with half-hour offsets begin theirs at half past in UTC."""
    offset = now.astimezone(zone).utcoffset() or timedelta()
    into = ((now - datetime(1970, 1, 1, tzinfo=UTC)) + offset) % timedelta(hours=1)
    start = (now - into).astimezone(UTC)
    return Window(start, start + timedelta(hours=1))


def _billing_period(rule: Rule, tenant: Tenant | None, zone: ZoneInfo, now: datetime) -> Window:
    """The period of the subscription the rule is about; without one, the tenant's calendar.

    A rule for a plan looks at the subscription to that plan, any other rule at the one that began
    first.
    """
    running = active_subscriptions(tenant, now)
    if rule.applies_to.kind == "plan":
        running = [one for one in running if one.plan == rule.applies_to.name] or running
    anchor_day = tenant.billing_day if tenant else 1
    if not running:
        return Window(*calendar_period(now, anchor_day, zone))
    subscription = running[0]
    found = periods(
        subscription.recurrence(zone.key, anchor_day),
        start=subscription.start,
        end=subscription.end,
        until=now + timedelta(minutes=1),
        cuts=subscription.cuts,
        since=now,
    )
    period = next(found)
    return Window(period.start, period.end)
