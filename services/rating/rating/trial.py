"""A price that somebody tries: the body of `POST /v1/rate` and its answer. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from common.events.rfc3339 import parse_time_ms
from common.money import exponent, is_minor, plain, round_line
from common.time_zones import time_zones
from rating.exact import EXACT, Exact, over
from rating.plan import read_currency
from rating.price import Price, read_price
from rating.prices.dynamic import Dynamic
from rating.prices.fields import FieldError, Fields
from rating.prices.graduated_percentage import GraduatedPercentage
from rating.prices.model import Seen
from rating.proration import Misfit, Proration, hours_between
from rating.rate import Context, Rated, Usage, left_over, rate
from rating.trial_schema import MAX_EVENTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR = 3_600_000_000
_YEARS = range(1900, 2200)
"""Of every time: what lies outside is a mistake, and calendars end somewhere."""


@dataclass(frozen=True)
class Event:
    """`at`: when a gauge changed by `amount`; None where the model does not ask."""

    amount: Decimal
    at: datetime | None


def try_price(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The answer to a body, or all that is wrong with it."""
    fields = Fields(body, "", [])
    currency = read_currency(fields)
    proration = _proration(fields)
    inner = fields.within("price")
    if inner is None:
        if fields.raw("price") is None:
            fields.refuse("price", "is missing: an object with a model")
        return {}, fields.errors
    known = len(fields.errors)
    price = read_price(inner)
    inner.finish()
    price_is_right = len(fields.errors) == known
    invoiced = _invoiced(fields, currency)
    usage = _usage(fields, price, proration)
    if price_is_right:
        _check_usage(fields, usage, price)
    fields.finish()
    if fields.errors:
        return {}, fields.errors
    rated = rate(price, usage, Context(currency, proration))
    with localcontext(EXACT):
        due = round_line(rated.rounded - invoiced, currency)
    return _answer(rated, due, left_over(price, usage)), []


def _usage(fields: Fields, price: Price, proration: Proration | None) -> Usage:
    needs = price.model.needs
    seen = Seen(
        group=fields.texts("group"),
        hours=None
        if proration is None
        else hours_between(proration.period_from, proration.period_to),
    )
    given = fields.raw("quantity") is not None
    quantity = fields.quantity("quantity", default=Decimal(0))
    usage = Usage(quantity, seen, _rolled_over(fields))
    groups = _groups(fields)
    if groups:
        with localcontext(EXACT):
            quantity = sum((units for _, units in groups), Decimal(0))
        return replace(usage, quantity=quantity, seen=replace(seen, groups=groups))
    events = _events(fields, needs)
    if not events:
        return usage
    if needs == "events":
        return replace(usage, seen=replace(seen, amounts=tuple(one.amount for one in events)))
    with localcontext(EXACT):
        if needs == "changes":
            return usage if proration is None else replace(usage, quantity=_held(events, proration))
        if given and not isinstance(price.model, Dynamic | GraduatedPercentage):
            return usage
        return replace(usage, quantity=sum((one.amount for one in events), Decimal(0)))


def _check_usage(fields: Fields, usage: Usage, price: Price) -> None:
    """Report what does not go with a price that is right by itself."""
    needs = price.model.needs
    if fields.raw("groups") not in (None, []) and needs != "group":
        fields.refuse("groups", "is for a price of model matrix")
    if usage.rolled_over > 0 and not price.rollover:
        fields.refuse("rolled_over", "the price has no rollover")
    of_a_period = fields.raw("events") not in (None, []) or _per_month(price)
    if needs == "changes" and of_a_period and fields.raw("proration") is None:
        fields.refuse("proration", "is missing: a level is held for a part of a period")


def _events(fields: Fields, needs: str | None) -> Sequence[Event]:
    """The events of a body; empty where it has none."""
    if fields.raw("events") in (None, []):
        return []
    events = []
    for item in fields.objects("events", max_items=MAX_EVENTS):
        amount = item.quantity("amount")
        if amount < 0 and needs == "events":
            item.refuse("amount", "must not be negative")
        at = _instant(item, "time") if needs == "changes" or item.raw("time") is not None else None
        events.append(Event(amount, at))
        item.finish()
    return events


def _groups(fields: Fields) -> tuple[tuple[Mapping[str, str], Decimal], ...]:
    """The usage by group, for a model that looks at groups; empty where a body does not say it."""
    if fields.raw("groups") in (None, []):
        return ()
    for name in ("quantity", "group", "events"):
        if fields.raw(name) not in (None, []):
            fields.refuse(name, "stands in groups: leave it out")
    groups = []
    for item in fields.objects("groups", max_items=MAX_EVENTS):
        groups.append((item.texts("group"), item.quantity("quantity")))
        item.finish()
    return tuple(groups)


def _invoiced(fields: Fields, currency: str) -> Decimal:
    """What was billed before; no invoice bills a part of a minor unit."""
    money = fields.quantity("invoiced", default=Decimal(0))
    is_known = fields.is_right("currency")
    if is_known and fields.is_right("invoiced") and not is_minor(money, currency):
        places = exponent(currency)
        said = f"at most {places} decimals" if places else "no decimals"
        fields.refuse("invoiced", f"must be in whole minor units of {currency}: {said}")
    return money


def _rolled_over(fields: Fields) -> Decimal:
    units = fields.quantity("rolled_over", default=Decimal(0))
    if units < 0:
        fields.refuse("rolled_over", "must not be negative")
    return units


def _per_month(price: Price) -> bool:
    return getattr(price.model, "per", None) == "month"


def _held(events: Sequence[Event], proration: Proration) -> Exact:
    """Unit-hours: each change counts from its time, or the service's begin if that is later, to
    the service's end."""
    total = Decimal(0)
    for event in events:
        if event.at is not None:
            since = max(event.at, proration.service_from)
            total += event.amount * _microseconds(since, proration.service_to)
    return over(total, Decimal(_HOUR))


def _microseconds(start: datetime, end: datetime) -> int:
    return max(timedelta(), end.astimezone(UTC) - start.astimezone(UTC)) // _MICROSECOND


def _proration(fields: Fields) -> Proration | None:
    item = fields.within("proration")
    if item is None:
        return None
    names = ("service_from", "service_to", "period_from", "period_to")
    times = [_instant(item, name) for name in names]
    zone = item.text("time_zone", default="UTC")
    granularity = item.choice("granularity", ("second", "day"), default="second")
    item.finish()
    if item.is_right("time_zone") and zone not in time_zones():
        item.refuse("time_zone", "is not a time zone of the IANA database")
    if not item.is_right("time_zone") or any(at is None for at in times):
        return None
    try:
        return Proration(*times, zone, granularity)  # type: ignore[arg-type, call-arg]
    except Misfit as error:
        item.refuse(error.field, str(error))
        return None


def _instant(fields: Fields, name: str) -> datetime | None:
    value = fields.raw(name)
    try:
        instant = _EPOCH + timedelta(milliseconds=parse_time_ms(value))
    except (ValueError, TypeError, OverflowError, AttributeError):
        fields.refuse_value(name, value, 'must be an RFC 3339 time, such as "2026-11-01T00:00:00Z"')
        return None
    if instant.year not in _YEARS:
        fields.refuse(name, f"must lie in the years {_YEARS[0]} to {_YEARS[-1]}")
        return None
    return instant


def _answer(rated: Rated, due: Decimal, left: Decimal | None) -> dict[str, Any]:
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
    answer = {
        "amount": format(rated.rounded, "f"),
        "due": format(due, "f"),
        "lines": lines,
        "residual": plain(rated.residual),
    }
    return answer if left is None else {**answer, "left_over": plain(left)}
