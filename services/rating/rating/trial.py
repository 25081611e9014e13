"""A price that somebody tries: the body of `POST /v1/rate` and its answer. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from common.events.rfc3339 import parse_time_ms
from common.money import plain
from rating.exact import EXACT, settle
from rating.plan import currency_problem
from rating.price import read_price
from rating.prices.fields import FieldError, Fields
from rating.prices.model import Seen
from rating.proration import Proration
from rating.rate import Context, Rated, Usage, rate

MAX_EVENTS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def try_price(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The answer to a body, or all that is wrong with it."""
    fields = Fields(body, "", [])
    currency = fields.text("currency", max_length=3)
    problem = currency_problem(currency) if currency else None
    if problem:
        fields.refuse("currency", problem, "unknown_currency")
    proration = _proration(fields)
    inner = fields.within("price")
    if inner is None:
        fields.refuse("price", "must be an object with a model")
        return {}, fields.errors
    price = read_price(inner)
    inner.finish()
    invoiced = fields.quantity("invoiced", default=Decimal(0))
    usage = _usage(fields, price.model.needs, proration)
    if price.model.needs == "changes" and usage.seen.hours is None:
        fields.refuse("proration", "is missing: a level is held for a part of a period")
    fields.finish()
    if fields.errors:
        return {}, fields.errors
    return _answer(rate(price, usage, Context(currency, proration)), invoiced), []


def _usage(fields: Fields, needs: str | None, proration: Proration | None) -> Usage:
    quantity = fields.quantity("quantity", default=Decimal(0))
    group = fields.texts("group")
    hours = None if proration is None else Fraction(_hours(proration, proration.period_from))
    usage = Usage(
        quantity,
        Seen(group=group, hours=hours),
        rolled_over=max(Decimal(0), fields.quantity("rolled_over", default=Decimal(0))),
    )
    if fields.raw("events") in (None, []):
        return usage
    changes: list[tuple[Decimal, datetime | None]] = []
    for item in fields.objects("events", max_items=MAX_EVENTS):
        amount = item.quantity("amount")
        if amount < 0 and needs != "changes":
            item.refuse("amount", "must not be negative")
        at = _instant(item, "time") if needs == "changes" else None
        changes.append((amount, at))
        item.finish()
    if needs == "events":
        amounts = tuple(amount for amount, _ in changes)
        return replace(usage, seen=replace(usage.seen, amounts=amounts))
    if needs == "changes" and proration is not None:
        held = sum(
            (Fraction(amount) * _hours(proration, at) for amount, at in changes if at), Fraction(0)
        )
        return replace(usage, quantity=settle(held))
    return usage


def _hours(proration: Proration, since: datetime) -> Fraction:
    """From `since`, or the period's begin if that is later, to the period's end."""
    left = proration.period_to.astimezone(UTC) - max(since, proration.period_from).astimezone(UTC)
    return Fraction(max(left, timedelta()) // timedelta(microseconds=1), 3_600_000_000)


def _proration(fields: Fields) -> Proration | None:
    item = fields.within("proration")
    if item is None:
        return None
    names = ("service_from", "service_to", "period_from", "period_to")
    times = [_instant(item, name) for name in names]
    zone = item.text("time_zone", default="UTC")
    granularity = item.choice("granularity", ("second", "day"), default="second")
    item.finish()
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        item.refuse("time_zone", "is not a time zone of the IANA database")
        return None
    if any(at is None for at in times):
        return None
    try:
        return Proration(*times, zone, granularity)  # type: ignore[arg-type, call-arg]
    except ValueError as error:
        fields.refuse("proration", str(error))
        return None


def _instant(fields: Fields, name: str) -> datetime | None:
    value = fields.raw(name)
    try:
        return _EPOCH + timedelta(milliseconds=parse_time_ms(value))
    except (ValueError, TypeError, OverflowError, AttributeError):
        fields.refuse(name, 'must be an RFC 3339 time, such as "2026-11-01T00:00:00Z"')
        return None


def _answer(rated: Rated, invoiced: Decimal) -> dict[str, Any]:
    with localcontext(EXACT):
        due = rated.rounded - invoiced
    lines = []
    for line in rated.lines:
        shown: dict[str, Any] = {
            "kind": line.kind,
            "description": line.description,
            "quantity": None if line.quantity is None else plain(line.quantity),
            "unit_amount": None if line.unit_amount is None else plain(line.unit_amount),
            "amount": plain(line.amount),
        }
        lines.append(shown if line.tier is None else {**shown, "tier": line.tier})
    return {
        "amount": format(rated.rounded, "f"),
        "due": format(due, "f"),
        "lines": lines,
        "residual": plain(rated.residual),
    }
