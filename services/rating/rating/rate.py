"""Rating: one pure function from a price and a period's usage to lines that explain the amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from msgspec import structs

from common.contracts.charges import ChargeLine
from common.money import plain, round_line
from rating.exact import EXACT, Exact, ending, minus, plus, settle, shown, times
from rating.price import Price
from rating.prices.model import NOTHING_SEEN, Seen, Step
from rating.proration import Proration
from rating.units import Change, Part, converted, modified, seen_by_model, units_of, used


@dataclass(frozen=True)
class Usage:
    """What was used in the whole period, in the meter's unit. Corrections can make it negative;
    it then costs what nothing costs, for a price is not a promise to pay. `seen`: what some models
    look at beside the quantity. `rolled_over`: included units that earlier periods left over."""

    quantity: Exact = Decimal(0)
    seen: Seen = NOTHING_SEEN
    rolled_over: Decimal = Decimal(0)


@dataclass(frozen=True)
class Context:
    """`currency`: ISO 4217. `proration`: for fees of a period that the service covers in part;
    None: the period is whole."""

    currency: str
    proration: Proration | None = None


@dataclass(frozen=True)
class Rated:
    """The `amount`s of `lines` add up to `amount`. Both are exact; what has no end, such as a
    third of a month, is settled to 18 decimals (see `exact.settle`).

    `rounded` is what an invoice says: half away from zero to the currency's minor unit, once.
    `residual` = amount - rounded.
    """

    lines: tuple[ChargeLine, ...]
    amount: Decimal
    rounded: Decimal
    residual: Decimal

    def settled(self) -> "Rated":
        """The same with at most 18 decimals everywhere, as charges keep it."""
        with localcontext(EXACT):
            amount = settle(self.amount)
            lines = [
                structs.replace(
                    line,
                    quantity=None if line.quantity is None else settle(line.quantity),
                    amount=settle(line.amount),
                )
                for line in self.lines
            ]
            return Rated(_adding_up(lines, amount), amount, self.rounded, amount - self.rounded)


def rate(price: Price, usage: Usage, context: Context) -> Rated:
    """What `usage` costs at `price`, in this order: conversion, included units, discounted units,
    the model, discount, maximum, minimum, and proration of a fee."""
    with localcontext(EXACT):
        steps = priced(price, usage)
        if context.proration is not None and not price.model.metered:
            steps = _prorate(steps, context.proration)
        exact: Exact = Decimal(0)
        for step in steps:
            exact = plus(exact, step.amount)
        amount = ending(exact)
        rounded = round_line(amount, context.currency)
        lines = tuple(map(_line, steps))
        if isinstance(exact, Fraction):
            lines = _adding_up(lines, amount)
        return Rated(lines, amount, rounded, amount - rounded)


def priced(price: Price, usage: Usage) -> list[Step]:
    """The steps to what `usage` costs in a whole period, exactly. Runs in `EXACT`."""
    steps, parts = _units(price, usage)
    steps += price.model.lines(units_of(parts), seen_by_model(parts, usage.seen))
    return [*steps, *_bounds(price, steps)]


def left_over(price: Price, usage: Usage) -> Decimal | None:
    """Included units that this period leaves to the next one (its `rolled_over`), None where
    the price does not roll any over."""
    if not price.rollover:
        return None
    with localcontext(EXACT):
        units = units_of(converted(price, used(price, usage.quantity, usage.seen)))
        free = included(price, usage)
        left = ending(minus(free, min(free, units)))
        return left if price.rollover_cap is None else min(left, price.rollover_cap)


def _line(step: Step) -> ChargeLine:
    return ChargeLine(
        kind=step.kind,
        description=step.description,
        quantity=None if step.quantity is None else ending(step.quantity),
        unit_amount=step.unit_amount,
        amount=ending(step.amount),
        tier=step.tier,
    )


def _adding_up(lines: Sequence[ChargeLine], amount: Decimal) -> tuple[ChargeLine, ...]:
    """`lines` that add up to `amount`: what settling them one by one has moved, a few units of
    the last decimal, goes to the largest."""
    missing = amount - sum((line.amount for line in lines), Decimal(0))
    if missing:
        largest = max(lines, key=lambda line: abs(line.amount))
        moved = structs.replace(largest, amount=largest.amount + missing)
        return tuple(moved if line is largest else line for line in lines)
    return tuple(lines)


def included(price: Price, usage: Usage) -> Decimal:
    """Units that cost nothing: the price's own, and what earlier periods left over."""
    if not price.rollover:
        return price.included
    cap = usage.rolled_over if price.rollover_cap is None else price.rollover_cap
    return price.included + min(cap, usage.rolled_over)


def _units(price: Price, usage: Usage) -> tuple[list[Step], list[Part]]:
    """What the model sees of the usage, and the steps to there."""
    steps = []
    before = used(price, usage.quantity, usage.seen)
    parts = converted(price, before)
    if price.conversion is not None:
        done = price.conversion.describe()
        for was, part in zip(before, parts, strict=True):
            said = f"{shown(max(Decimal(0), was.units))} {done} = {shown(part.units)}"
            steps.append(_note("conversion", part.name, said, part.units))
    parts, changes = modified(price, parts, included(price, usage))
    steps += map(_change, changes)
    return steps, parts


def _change(change: Change) -> Step:
    """A modifier's step, which costs nothing itself."""
    match change.kind:
        case "included":
            covered = minus(change.before, change.after)
            said = f"{shown(covered)} of {shown(change.given)} included units"
            return _note(change.kind, change.name, said, covered, Decimal(0))
        case "discount":
            said = f"Discount of {shown(change.given)} units"
            if change.name:
                less = minus(change.before, change.after)
                said = f"{shown(less)} of {shown(change.given)} discounted units"
            return _note(change.kind, change.name, said, change.after)
        case _:
            said = f"At least {shown(change.given)} units"
            if change.name:
                said += f" in all, {shown(minus(change.after, change.before))} more here"
            return _note(change.kind, change.name, said, change.after)


def _bounds(price: Price, steps: Sequence[Step]) -> list[Step]:
    """Discount, maximum and minimum of what the model asks."""
    more: list[Step] = []
    total: Exact = Decimal(0)
    for step in steps:
        total = plus(total, step.amount)
    if price.discount is not None and price.discount.kind != "quantity":
        off = price.discount.off(total)
        more.append(Step(kind="discount", description=price.discount.describe(), amount=-off))
        total = minus(total, off)
    if price.maximum is not None and total > price.maximum:
        said = f"At most {plain(price.maximum)}"
        more.append(Step(kind="maximum", description=said, amount=minus(price.maximum, total)))
        total = price.maximum
    if price.minimum is not None and total < price.minimum:
        said = f"At least {plain(price.minimum)}"
        more.append(Step(kind="minimum", description=said, amount=minus(price.minimum, total)))
    return more


def _note(
    kind: str, name: str, said: str, quantity: Exact, unit_amount: Decimal | None = None
) -> Step:
    return Step(
        kind=kind,
        description=f"{name}: {said}" if name else said,
        quantity=quantity,
        unit_amount=unit_amount,
        amount=Decimal(0),
    )


def _prorate(lines: Sequence[Step], proration: Proration) -> list[Step]:
    share = proration.share()
    if share == 1:
        return list(lines)
    return [
        structs.replace(
            line,
            description=f"{line.description}, {proration.describe()}",
            quantity=None if line.unit_amount is None else share,
            amount=times(line.amount, share),
        )
        for line in lines
    ]
