"""What of the usage the model sees: conversion, included and discounted units, minimum quantity.

A matrix prices each of its cells' units by themselves. What modifies units then is taken across
the cells in the order of the price: each cell's sum is converted, and rounded, by itself; included
and discounted units go to the first cell as far as it has units, then to the next; units that a
minimum quantity lacks are the first cell's. Any other price is one part of all units. Pure; runs
in the context `rating.exact.EXACT`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

import msgspec

from rating.exact import Exact, minus, plus
from rating.price import Price
from rating.prices.matrix import Matrix
from rating.prices.model import Group, GroupUsage, Seen


class Part(msgspec.Struct, frozen=True):
    """Units that are priced alike. `name`: of the cell, empty where there is only one part."""

    name: str
    group: Group | None
    units: Exact


class Change(msgspec.Struct, frozen=True):
    """What a modifier (`kind`) made of a part's units. `given`: how many units it had to take, or
    the least that all parts must have together."""

    kind: str
    name: str
    before: Exact
    given: Exact
    after: Exact


Taking: TypeAlias = tuple[list[Part], list[Change]]


def used(price: Price, quantity: Exact, seen: Seen) -> list[Part]:
    """The usage as it is priced, in the meter's unit; below zero where corrections say so."""
    model = price.model
    if not isinstance(model, Matrix) or seen.groups is None:
        return [Part("", seen.group, quantity)]
    cells = model.gathered(seen.groups)
    return [
        Part(model.called(group) if len(cells) > 1 else "", group, units) for group, units in cells
    ]


def converted(price: Price, parts: Iterable[Part]) -> list[Part]:
    """In the unit that is priced; what is below zero is nothing."""
    if price.conversion is None:
        return [part if part.units >= 0 else _with(part, Decimal(0)) for part in parts]
    convert = price.conversion.apply
    return [_with(part, convert(max(Decimal(0), part.units))) for part in parts]


def modified(price: Price, parts: Iterable[Part], included: Exact) -> Taking:
    """What the model sees of converted units, and what was done to them in order. `included`:
    units that cost nothing, those rolled over too."""
    kept, changes = list(parts), list[Change]()
    if included:
        kept, changes = _taken("included", kept, included)
    discount = price.discount
    if discount is not None and discount.kind == "quantity":
        kept, more = _taken("discount", kept, discount.value)
        changes += more
    if price.minimum_quantity is not None:
        missing = minus(price.minimum_quantity, units_of(kept))
        if missing > 0:
            first = kept[0]
            kept[0] = _with(first, plus(first.units, missing))
            changes.append(
                Change(
                    "minimum_quantity",
                    first.name,
                    first.units,
                    price.minimum_quantity,
                    kept[0].units,
                )
            )
    return kept, changes


def units_of(parts: Sequence[Part]) -> Exact:
    """The units of all parts."""
    found = parts[0].units
    for part in parts[1:]:
        found = plus(found, part.units)
    return found


def seen_by_model(parts: Iterable[Part], seen: Seen) -> Seen:
    """`seen` with the units that the model sees in each group."""
    if seen.groups is None:
        return seen
    groups: tuple[GroupUsage, ...] = tuple((part.group, part.units) for part in parts)
    return replace(seen, groups=groups)


def _with(part: Part, units: Exact) -> Part:
    return Part(part.name, part.group, units)


def _taken(kind: str, parts: Iterable[Part], units: Exact) -> Taking:
    """`units` less, from the first part on; a part that loses nothing is not worth a word, unless
    it is the only one."""
    kept, changes = [], []
    for part in parts:
        less = min(part.units, units)
        after = minus(part.units, less)
        if less or not part.name:
            changes.append(Change(kind, part.name, part.units, units, after))
        kept.append(_with(part, after))
        units = minus(units, less)
    return kept, changes
