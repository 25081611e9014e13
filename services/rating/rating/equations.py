"""How an amount comes about, as equations that a reader can check one by one. Pure.

Each says what its right side is made of: `Tier 1 up to 10: 10 × 0.5 = 5`. Numbers are exact; one
that has no end stands as a fraction, with its beginning behind it: `1,400/3 (≈ 466.666667)`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Final

from common.money import WIDE, exponent, plain, round_line
from rating.exact import EXACT, Exact, minus, plus, settle, times
from rating.price import Price
from rating.prices.model import PriceModel, Seen, Step
from rating.prices.time_weighted import TimeWeighted
from rating.proration import Proration
from rating.rate import Context, Usage, included
from rating.units import Change, Part, converted, modified, seen_by_model, units_of, used

_SHOWN: Final = Decimal("1e-6")


@dataclass(frozen=True)
class Equation:
    """`kind`: as of the charge's lines, and `quantity`, `total`, `proration`, `rounding`."""

    kind: str
    text: str
    tier: int | None = None


def equations(price: Price, usage: Usage, context: Context) -> list[Equation]:
    """The way from `usage` to what an invoice says of what `rate` answers, in its order."""
    with localcontext(EXACT):
        told, total = charged(price, usage, context)
        return [*told, rounding(total, context.currency)]


def charged(price: Price, usage: Usage, context: Context) -> tuple[list[Equation], Exact]:
    """The way from `usage` to what `rate` answers, and that before it is settled. In `EXACT`."""
    told, total = walked(price, usage)
    proration = context.proration
    if proration is None or price.model.metered or proration.share() == 1:
        return told, total
    share, due = prorated(total, proration)
    return [*told, share], due


def walked(price: Price, usage: Usage) -> tuple[list[Equation], Exact]:
    """The way from `usage` to what it costs in a whole period, and that. In `EXACT`."""
    told, parts = _units(price, usage)
    steps = price.model.lines(units_of(parts), seen_by_model(parts, usage.seen))
    told += [
        Equation(step.kind, _model_step(step, price.model, usage.seen), step.tier) for step in steps
    ]
    total = sum_of([step.amount for step in steps])
    if len(steps) > 1:
        told.append(summed([step.amount for step in steps]))
    more, total = _bounds(price, total)
    return [*told, *more], total


def sum_of(terms: Sequence[Exact]) -> Exact:
    """0 for none."""
    total: Exact = Decimal(0)
    for term in terms:
        total = plus(total, term)
    return total


def summed(terms: Sequence[Exact], label: str = "") -> Equation:
    """What `terms` add up to."""
    said = f"{' + '.join(map(number, terms)) or '0'} = {number(sum_of(terms))}"
    return Equation("total", f"{label}: {said}" if label else said)


def prorated(total: Exact, proration: Proration, label: str = "") -> tuple[Equation, Exact]:
    """What is due of `total`, and how that comes about. `label`: what is prorated."""
    covered, whole = map(number, _units_of(proration))
    due = times(total, proration.share())
    said = f"{proration.describe()}: {number(total)} × {covered} ÷ {whole} = {number(due)}"
    return Equation("proration", f"{label}, {said}" if label else said), due


def number(value: Exact) -> str:
    """`value` exactly, with thousands separated: `1,234.5`, or `1/3 (≈ 0.333333)`."""
    if isinstance(value, Fraction):
        settled = settle(value)
        if Fraction(settled) != value:
            begins = settled.quantize(_SHOWN, rounding=ROUND_HALF_UP, context=WIDE)
            return f"{value.numerator:,}/{value.denominator:,} (≈ {number(begins)})"
        value = settled
    whole, point, decimals = plain(value).partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-')):,}{point}{decimals}"


def _units(price: Price, usage: Usage) -> tuple[list[Equation], list[Part]]:
    before = used(price, usage.quantity, usage.seen)
    parts = converted(price, before)
    told = [
        equation
        for was, part in zip(before, parts, strict=True)
        for equation in _converted(price, was, part)
    ]
    free = included(price, usage)
    if price.rollover:
        rolled = minus(free, price.included)
        said = f"Included and rolled over: {number(price.included)} + {number(rolled)}"
        told.append(Equation("included", f"{said} = {number(free)}"))
    parts, changes = modified(price, parts, free)
    return [*told, *map(_change, changes)], parts


def _converted(price: Price, was: Part, part: Part) -> Iterator[Equation]:
    units = was.units
    if units < 0:
        yield _of_part(part.name, "quantity", f"max({number(units)}, 0) = 0")
        units = Decimal(0)
    conversion = price.conversion
    if conversion is None:
        return
    exact = times(units, conversion.factor)
    if conversion.divide:
        exact = Fraction(units) / Fraction(conversion.factor)
    sign = "÷" if conversion.divide else "×"
    said = f"{number(units)} {sign} {number(conversion.factor)} = {number(exact)}"
    if conversion.rounding != "none":
        said += f", {_ROUNDED[conversion.rounding]} to {_places(conversion.precision)}"
        said += f" = {number(part.units)}"
    yield _of_part(part.name, "conversion", said)


def _change(change: Change) -> Equation:
    before, given, after = number(change.before), number(change.given), number(change.after)
    match change.kind:
        case "included":
            said = f"Included: max({before} - {given}, 0) = {after}"
        case "discount":
            said = f"Discounted units: max({before} - {given}, 0) = {after}"
        case _ if change.name:
            missing = number(minus(change.after, change.before))
            said = f"At least {given} units in all: {before} + {missing} = {after}"
        case _:
            said = f"At least: max({before}, {given}) = {after}"
    return _of_part(change.name, change.kind, said)


def _of_part(name: str, kind: str, said: str) -> Equation:
    return Equation(kind, f"{name}: {said}" if name else said)


def _units_of(proration: Proration) -> tuple[Decimal, Decimal]:
    """Covered and whole, in days or seconds as `proration.describe` says."""
    covered, whole = map(Decimal, proration.units())
    if proration.granularity == "day":
        return covered, whole
    return covered.scaleb(-6), whole.scaleb(-6)


_ROUNDED: Final = {
    "ceiling": "rounded up",
    "floor": "rounded down",
    "half_up": "rounded half away from zero",
}


def _places(decimals: int) -> str:
    return "1 decimal" if decimals == 1 else f"{decimals} decimals"


def _model_step(step: Step, model: PriceModel, seen: Seen) -> str:
    if isinstance(model, TimeWeighted):
        return _held(step, model, seen)
    label, colon, working = step.description.rpartition(": ")
    if step.quantity is not None and step.unit_amount is not None:
        if times(step.quantity, step.unit_amount) == step.amount:
            working = f"{number(step.quantity)} × {number(step.unit_amount)}"
            label = label or ("" if colon or "×" in step.description else step.description)
    elif not colon:
        return f"{step.description}: {number(step.amount)} = {number(step.amount)}"
    said = f"{label}: {working}" if label else working
    return f"{said} = {number(step.amount)}"


def _held(step: Step, model: TimeWeighted, seen: Seen) -> str:
    said = f"{number(step.quantity or Decimal(0))} unit-hours × {number(model.unit_amount)}"
    if model.per == "month":
        said += f" ÷ {number(seen.hours or Decimal(1))} hours of the period"
    return f"{said} = {number(step.amount)}"


def _bounds(price: Price, total: Exact) -> tuple[Sequence[Equation], Exact]:
    told = []
    discount = price.discount
    if discount is not None and discount.kind != "quantity":
        before, total = total, minus(total, discount.off(total))
        off = number(discount.value)
        less = f"{number(before)} × {off} ÷ 100" if discount.kind == "percent" else off
        floor = f"{number(before)} - {less}"
        if discount.kind == "amount":
            floor = f"max({floor}, 0)"
        told.append(Equation("discount", f"{discount.describe()}: {floor} = {number(total)}"))
    for kind, bound, pick in (("maximum", price.maximum, min), ("minimum", price.minimum, max)):
        if bound is not None and pick(total, bound) != total:
            said = f"{pick.__name__}({number(total)}, {number(bound)})"
            total = bound
            told.append(Equation(kind, f"{kind.capitalize()}: {said} = {number(total)}"))
    return told, total


def rounding(total: Exact, currency: str, label: str = "") -> Equation:
    """What an invoice makes of an amount; `label`: of which, the currency if left out."""
    said = f"{label or currency}: {number(total)}, {_ROUNDED['half_up']}"
    rounded = round_line(settle(total), currency)
    return Equation("rounding", f"{said} to {_places(exponent(currency))} = {rounded:,f}")
