"""A charge made again from its evidence alone, with the equations on the way. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Final, TypeAlias

from common.contracts.charges import Charge, ChargeLine
from common.events.rfc3339 import instant
from common.money import round_line
from rating.charging import added, made_from
from rating.equations import (
    Equation,
    charged,
    number,
    prorated,
    rounding,
    sum_of,
    summed,
    walked,
)
from rating.exact import EXACT, SETTLED_DECIMALS, Exact, minus, settle
from rating.parts import seats, trial
from rating.price import price_of
from rating.proration import Proration
from rating.rate import Usage

Way: TypeAlias = tuple[list[Equation], Exact]
"""Equations, and what they come to."""


@dataclass(frozen=True)
class Remade:
    """`amount`: None where the evidence does not say enough; `why_not` says then what is missing,
    and the steps are those that the charge has stored."""

    steps: list[Equation]
    amount: Decimal | None
    why_not: str | None = None


class _Untold(Exception):
    """The evidence does not say enough. The message is what is missing."""


def remake(charge: Charge) -> Remade:
    """What `charge` (not withdrawn) comes to by its evidence."""
    with localcontext(EXACT):
        try:
            steps, total = _way(charge)
        except _Untold as error:
            return Remade(_stored(charge), None, str(error))
        return Remade([*steps, rounding(total, charge.currency)], settle(total))


def _way(charge: Charge) -> Way:
    make = _BY_KIND.get(charge.kind)
    if make is None:
        raise _Untold("the charge does not say of what kind it is")
    try:
        steps, total = make(charge)
        lines = added(charge)
        if not lines:
            return steps, total
        settled, amount = _settled(total)
        steps += settled
        coupons = iter(charge.evidence.get("coupons", []))
        for line in lines:
            if line.kind == trial.KIND:
                more, amount = _waived(amount)
            else:
                more, amount = _lowered(amount, next(coupons), charge.currency)
            steps += more
        return steps, amount
    except KeyError as missing:
        raise _Untold(f"the charge's evidence has no {missing}") from None
    except StopIteration:
        raise _Untold("the charge's evidence does not name its coupons") from None


def _rated(charge: Charge) -> Way:
    """A fee, and usage."""
    parts = made_from(charge)
    assert parts is not None  # Its kind is one of these.
    return charged(*parts)


def _quantity(charge: Charge) -> Way:
    price = price_of(charge.evidence["price"])
    whole = _whole(charge)
    steps: list[Equation] = []
    parts: list[Exact] = []
    for quantity, since, until in seats.held_again(charge.evidence):
        told, total = walked(price, Usage(quantity))
        steps += told
        proration = Proration(since, until, *whole)
        if proration.share() != 1:
            label = f"{number(quantity)} {charge.unit} from {instant(since)} to {instant(until)}"
            share, total = prorated(total, proration, label)
            steps.append(share)
        parts.append(total)
    if len(parts) != 1:
        steps.append(summed(parts))
    return steps, sum_of(parts)


def _one_off(charge: Charge) -> Way:
    return _once(charge, Decimal(charge.evidence["one_off"]["amount"]))


def _purchase(charge: Charge) -> Way:
    return _once(charge, Decimal(charge.evidence["credits"]["price"]))


def _once(charge: Charge, amount: Decimal) -> Way:
    said = f"{charge.description}: 1 × {number(amount)} = {number(amount)}"
    return [Equation(charge.kind, said)], amount


def _commitment(charge: Charge) -> Way:
    committed = Decimal(charge.evidence["commitment"]["amount"])
    proration = Proration(charge.period_from, charge.period_to, *_whole(charge))
    steps, spent = _named(charge.evidence["counted"], "counted", "Charged towards it")
    owed: Exact = committed
    if proration.share() != 1:
        share, owed = prorated(committed, proration, "Committed")
        steps.append(share)
    steps.append(rounding(owed, charge.currency, "Committed, as an invoice would say it"))
    rounded = round_line(settle(owed), charge.currency)
    missing = max(Decimal(0), rounded - spent)
    said = f"Missing: max({number(rounded)} - {_signed(spent)}, 0) = {number(missing)}"
    return [*steps, Equation("commitment", said)], missing


def _used_credit(charge: Charge) -> Way:
    before = Decimal(charge.evidence["balance"][0])
    steps, owed = _named(charge.evidence["paid"], "paid", "To be paid")
    taken = max(Decimal(0), min(owed, before))
    said = f"Paid by the balance: max(min({number(owed)}, {number(before)}), 0) = {number(taken)}"
    steps.append(Equation("credit", said))
    steps += [Equation(line.kind, _line(line)) for line in charge.lines if line.kind == "credit"]
    left = minus(before, taken)
    steps.append(Equation("balance", f"Left: {number(before)} - {number(taken)} = {number(left)}"))
    return steps, -taken


def _named(charges: Mapping[str, str], kind: str, label: str) -> tuple[list[Equation], Decimal]:
    """Each of the charges (price and begin) with what an invoice says of it, and their sum."""
    amounts = [Decimal(amount) for amount in charges.values()]
    steps = []
    for name, amount in zip(charges, amounts, strict=True):
        price, _, start = name.partition(":")
        steps.append(Equation(kind, f"{price} from {start}: {number(amount)}"))
    return [*steps, summed(amounts, label)], sum(amounts, Decimal(0))


def _waived(amount: Decimal) -> tuple[list[Equation], Decimal]:
    said = f"Trial: {number(amount)} - {_signed(amount)} = 0"
    return [Equation(trial.KIND, said)], Decimal(0)


def _lowered(
    amount: Decimal, seen: Mapping[str, Any], currency: str
) -> tuple[list[Equation], Decimal]:
    """`seen`: a coupon, as the evidence of the charge names it."""
    label = f"Coupon {seen['slug']}"
    steps: list[Equation] = []
    if "percent" in seen:
        percent = Decimal(seen["percent"])
        exact = Fraction(amount) * Fraction(percent) / 100
        said = f"{number(amount)} × {number(percent)} ÷ 100 = {number(exact)}"
        kept, off = _settled(exact)
        steps += [Equation("coupon", f"{label}, {number(percent)} % off: {said}"), *kept]
    else:
        rest, rounded = Decimal(seen["left"]), round_line(amount, currency)
        steps.append(rounding(amount, currency, "As an invoice would say it"))
        off = min(rest, rounded)
        said = f"min({number(rest)}, {number(rounded)}) = {number(off)}"
        steps.append(Equation("coupon", f"{label}, {number(rest)} of it left: {said}"))
    after = amount - off
    said = f"{number(amount)} - {number(off)} = {number(after)}"
    return [*steps, Equation("total", said)], after


def _settled(value: Exact) -> tuple[list[Equation], Decimal]:
    """`value` as charges keep it, with a step where that is not all of it."""
    settled = settle(value)
    if Fraction(settled) == Fraction(value):
        return [], settled
    said = f"{number(value)}, kept to {SETTLED_DECIMALS} decimals = {number(settled)}"
    return [Equation("settled", said)], settled


def _stored(charge: Charge) -> list[Equation]:
    """The lines as the charge has them, which only add up."""
    steps = [Equation(line.kind, _line(line), line.tier) for line in charge.lines]
    steps.append(summed([line.amount for line in charge.lines]))
    return [*steps, rounding(charge.amount, charge.currency)]


def _line(line: ChargeLine) -> str:
    return f"{line.description}: {number(line.amount)}"


def _signed(value: Decimal) -> str:
    """`value` as what is taken off something."""
    return number(value) if value >= 0 else f"({number(value)})"


def _whole(charge: Charge) -> tuple[datetime, datetime]:
    start, end = map(datetime.fromisoformat, charge.evidence["period"])
    return start, end


_BY_KIND: Final[Mapping[str, Callable[[Charge], Way]]] = {
    "fee": _rated,
    "usage": _rated,
    "quantity": _quantity,
    "one_off": _one_off,
    "commitment": _commitment,
    "credit_purchase": _purchase,
    "credit": _used_credit,
}
