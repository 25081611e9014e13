"""Plans: prices and other parts, in one or several currencies. Versions never change once
published."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from common.events.rfc3339 import instant
from common.money import UnknownCurrency, exponent
from rating.parts.add_on import AddOn, read_add_on
from rating.parts.commitment import Commitment, read_commitment
from rating.parts.coupon import Coupon, read_coupon
from rating.parts.credits import Credits, read_credits
from rating.parts.interval import Interval, read_interval
from rating.parts.names import SLUG, SLUG_RULE
from rating.parts.one_off import OneOff, read_one_off
from rating.parts.price import PlanPrice, read_plan_price
from rating.parts.trial import Trial, read_trial
from rating.parts.window import maybe_instant
from rating.prices.fields import FieldError, Fields, grave
from rating.prices.time_weighted import TimeWeighted
from rating.variants import IDENTIFYING, in_currency, part

__all__ = ["SLUG", "SLUG_RULE", "Plan", "PlanPrice", "currency_problem", "read_plan"]

MAX_PRICES: Final = 100
MAX_CURRENCIES: Final = 50


Part: TypeAlias = PlanPrice | OneOff | Commitment | Credits | Coupon


@dataclass(frozen=True)
class Plan:
    """What a plan's version says in one currency. `others`: the same in its other currencies.
    `effective_from`: new subscriptions are put on it from then on."""

    name: str
    currency: str
    interval: Interval
    prices: tuple[PlanPrice, ...]
    one_offs: tuple[OneOff, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    credits: tuple[Credits, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    add_ons: tuple[AddOn, ...] = ()
    trial: Trial | None = None
    effective_from: datetime | None = None
    others: tuple["Plan", ...] = field(default=())

    def canonical(self) -> dict[str, Any]:
        """Equal plans give equal values, however their decimals were written; what is not said
        is left out."""
        made: dict[str, Any] = {
            "name": self.name,
            "currency": self.currency,
            "interval": self.interval.written(),
        }
        if self.interval.alignment != "calendar":
            made["alignment"] = self.interval.alignment
        if self.effective_from is not None:
            made["effective_from"] = instant(self.effective_from)
        if self.trial is not None:
            made["trial"] = self.trial.canonical()
        for section in ("prices", "one_offs", "commitments", "credits", "coupons", "add_ons"):
            parts = getattr(self, section)
            if parts:
                made[section] = [one.canonical() for one in parts]
        if self.others:
            made["currencies"] = {other.currency: _differing(self, other) for other in self.others}
        return made

    @property
    def all_prices(self) -> tuple[PlanPrice, ...]:
        """The prices, then those of the add-ons."""
        return (*self.prices, *(price for add_on in self.add_ons for price in add_on.prices))

    @property
    def all_one_offs(self) -> tuple[OneOff, ...]:
        """The one-offs, then those of the add-ons."""
        return (*self.one_offs, *(one for add_on in self.add_ons for one in add_on.one_offs))

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that has a slug and may be priced otherwise in another currency."""
        return (
            *self.all_prices,
            *self.all_one_offs,
            *self.commitments,
            *self.credits,
            *self.coupons,
        )

    @property
    def slugs(self) -> list[str]:
        """The names of its parts."""
        return [part.slug for part in self.parts]

    @property
    def meters(self) -> set[str]:
        """The meters that the plan prices."""
        return {price.meter for price in self.all_prices if price.meter is not None}

    @property
    def currencies(self) -> list[str]:
        """What it is sold in, its main currency first."""
        return [self.currency, *(other.currency for other in self.others)]

    @property
    def quantities(self) -> set[str]:
        """The names of the quantities that the plan prices."""
        return {price.quantity for price in self.all_prices if price.quantity is not None}

    @property
    def remembers(self) -> bool:
        """Whether what a period costs depends on the periods before it."""
        return bool(self.credits) or any(price.price.rollover for price in self.all_prices)

    @property
    def holds_levels(self) -> bool:
        """Whether what a period costs is known only when it has ended, though nothing is used."""
        return any(price.holds_levels for price in self.all_prices)


def read_plan(body: Mapping[str, Any]) -> tuple[Plan, list[FieldError]]:
    """The plan that a body describes, and all that is wrong with it. Whether its meters exist is
    not known here."""
    plan, errors = _read(body, Fields(body, "", []))
    others = body.get("currencies")
    if others is None:
        return plan, errors
    made: list[Plan] = []
    if not isinstance(others, Mapping) or not 0 < len(others) <= MAX_CURRENCIES:
        errors.append(FieldError("currencies", "must be an object of currencies, each of parts"))
        return plan, errors
    for currency in others:
        variant, wrong = _variant(body, str(currency))
        known = {(error.path, error.message) for error in errors}
        errors += [
            replace(error, path=f"currencies.{currency}{_below(error.path)}")
            for error in wrong
            if (error.path, error.message) not in known
        ]
        made.append(variant)
    return replace(plan, others=tuple(made)), errors


def _read(body: Mapping[str, Any], fields: Fields) -> tuple[Plan, list[FieldError]]:
    """The plan in its main currency."""
    name = fields.text("name")
    currency = read_currency(fields)
    fields.raw("currencies")
    taken: set[str] = set()
    trial = fields.within("trial")
    prices = [
        read_plan_price(item, taken) for item in fields.objects("prices", max_items=MAX_PRICES)
    ]
    plan = Plan(
        name=name,
        currency=currency,
        interval=read_interval(fields),
        prices=tuple(prices),
        one_offs=tuple(read_one_off(item, taken) for item in _maybe(fields, "one_offs")),
        commitments=tuple(read_commitment(item, taken) for item in _maybe(fields, "commitments")),
        credits=tuple(read_credits(item, taken) for item in _maybe(fields, "credits")),
        coupons=tuple(read_coupon(item, taken) for item in _maybe(fields, "coupons")),
        add_ons=tuple(read_add_on(item, taken) for item in _maybe(fields, "add_ons")),
        trial=None if trial is None else read_trial(trial),
        effective_from=maybe_instant(fields, "effective_from"),
    )
    fields.finish()
    if not grave(fields.errors):
        _check_references(plan, fields)
        _check_months(plan, fields)
    return plan, fields.errors


def _maybe(fields: Fields, name: str) -> Iterator[Fields]:
    """The objects of a list that may be missing or empty."""
    if fields.raw(name) not in (None, []):
        yield from fields.objects(name, max_items=MAX_PRICES)


def _check_references(plan: Plan, fields: Fields) -> None:
    """Parts that name others name those that there are, and that they can concern."""
    prices = {price.slug: price for price in plan.all_prices}
    known = {*prices, *(one.slug for one in plan.all_one_offs)}
    known |= {one.slug for one in plan.commitments} | {one.slug for one in plan.credits}
    for section, allowed in (
        ("commitments", set(prices)),
        ("credits", {slug for slug, price in prices.items() if price.billed == "arrears"}),
        ("coupons", known),
    ):
        for place, one in enumerate(getattr(plan, section)):
            for slug in one.of or ():
                if slug not in allowed:
                    what = "billed in advance" if slug in prices else "not a part that it can name"
                    fields.refuse(f"{section}[{place}].of", f"{slug} is {what}")


def placed(plan: Plan) -> Iterator[tuple[str, PlanPrice]]:
    """The plan's prices, each with its path in the body."""
    for place, price in enumerate(plan.prices):
        yield f"prices[{place}]", price
    for add_on_place, add_on in enumerate(plan.add_ons):
        for place, price in enumerate(add_on.prices):
            yield f"add_ons[{add_on_place}].prices[{place}]", price


def _check_months(plan: Plan, fields: Fields) -> None:
    """A level's price of a month is divided by the hours of the billing period: where that is no
    month, it is another price than its author means."""
    if plan.interval.is_month:
        return
    for path, price in placed(plan):
        model = price.price.model
        if isinstance(model, TimeWeighted) and model.per == "month":
            said = f"would be a price of the whole billing period, {plan.interval.words()}: "
            said += 'use "hour", or the interval "month"'
            fields.refuse(f"{path}.per", said, tolerated=True)


def _variant(body: Mapping[str, Any], currency: str) -> tuple[Plan, list[FieldError]]:
    """The plan in another currency, where each amount of money must be said again."""
    said: Any = body["currencies"][currency]
    if not isinstance(said, Mapping):
        return _read(body, Fields(body, "", []))[0], [
            FieldError("", "must be an object of the parts and their fields in this currency")
        ]
    errors: list[FieldError] = []
    if currency == body.get("currency"):
        errors.append(FieldError("", "is the plan's main currency already"))
    for slug, fields in said.items():
        if part(body, str(slug)) is None:
            errors.append(FieldError(str(slug), "is not a part of the plan"))
        elif not isinstance(fields, Mapping) or any(name in fields for name in IDENTIFYING):
            message = f"must be an object of fields, without {', '.join(IDENTIFYING)}"
            errors.append(FieldError(str(slug), message))
    usable = {slug: fields for slug, fields in said.items() if isinstance(fields, Mapping)}
    variant = in_currency({**body, "currencies": {currency: usable}}, currency)
    plan, wrong = _read(variant or body, Fields(variant or body, "", []))
    if not grave(wrong):
        errors += [
            FieldError(slug, f"has no amount in {currency}")
            for slug in _money_parts(plan)
            if slug not in said
        ]
    return plan, errors + wrong


def _money_parts(plan: Plan) -> list[str]:
    """The parts that hold an amount of money."""
    percentages = {one.slug for one in plan.coupons if one.amount is None}
    return [slug for slug in plan.slugs if slug not in percentages]


def _differing(plan: Plan, other: Plan) -> dict[str, Any]:
    """By part, the fields in which `other` differs, or all of its money where none does."""
    made: dict[str, Any] = {}
    money = _money_parts(plan)
    for mine, its in zip(plan.parts, other.parts, strict=True):
        before, after = mine.canonical(), its.canonical()
        if before.get("model") != after.get("model"):
            before = {"slug": before["slug"]}
        fields = {name: value for name, value in after.items() if before.get(name) != value}
        if fields or before["slug"] in money:
            made[str(before["slug"])] = fields
    return made


def _below(path: str) -> str:
    """A path in a variant, behind its currency."""
    return f".{path}" if path else ""


def read_currency(fields: Fields) -> str:
    """The field `currency`; after an error an empty text."""
    code = fields.raw("currency")
    if code is None:
        problem: str | None = "is missing; it must be an ISO 4217 code, such as EUR"
    elif isinstance(code, str) and len(code) <= 3:
        problem = currency_problem(code)
    else:
        problem = f"{repr(code)[:40]} is not an ISO 4217 currency"
    if problem is None:
        return str(code)
    fields.refuse("currency", problem, "unknown_currency")
    return ""


def currency_problem(currency: str) -> str | None:
    """What is wrong with a currency code, or None."""
    try:
        exponent(currency)
    except UnknownCurrency as error:
        return str(error)
    return None
