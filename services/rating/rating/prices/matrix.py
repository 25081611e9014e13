"""matrix: a unit costs what the cell says that its group values name.

`{"model": "matrix", "dimensions": ["region"], "default": "1", "cells": [{"group": {"region": "eu"},
"unit_amount": "2"}]}`: 10 units of eu cost 20, 10 of us cost 10.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Final, Self, TypeAlias

from common.money import plain
from rating.exact import Exact, plus, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Group, GroupUsage, Need, Seen, Step

MAX_DIMENSIONS: Final = 10
MAX_CELLS: Final = 1000

Values: TypeAlias = tuple[str, ...]
"""Of the price's dimensions, in their order."""


@dataclass(frozen=True)
class Matrix:
    """`cells`: unit amounts by the values of `dimensions`, as the price lists them; `default`:
    elsewhere. A value that usage does not have is the empty text, as it is in rollups."""

    name: ClassVar[str] = "matrix"
    metered: ClassVar[bool] = True
    needs: ClassVar[Need | None] = "group"
    by_quantity: ClassVar[bool] = True

    dimensions: tuple[str, ...]
    default: Decimal
    cells: tuple[tuple[Values, Decimal], ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        names = fields.raw("dimensions")
        if not _are_names(names):
            rule = f"must be a list of 1 to {MAX_DIMENSIONS} different names"
            fields.refuse_value("dimensions", names, rule)
            names = []
        cells: dict[Values, Decimal] = {}
        for item in fields.objects("cells", max_items=MAX_CELLS):
            group = item.texts("group")
            values = tuple(group.get(name, "") for name in names)
            if names and set(group) != set(names):
                item.refuse("group", f"must give a value for each of: {', '.join(names)}")
            elif names and values in cells:
                item.refuse("group", "names the same cell as one before it")
            cells[values] = item.decimal("unit_amount")
            item.finish()
        default = fields.decimal("default")
        return cls(dimensions=tuple(names), default=default, cells=tuple(cells.items()))

    def gathered(self, groups: Iterable[GroupUsage]) -> tuple[GroupUsage, ...]:
        """The same usage by cell, in the order of the price's cells, the default last.

        Groups that fall into one cell are added up; the group of the default is None when several
        did. Nothing at all is nothing in the default. What was gathered can be gathered again.
        Runs in the context `rating.exact.EXACT`.
        """
        sums: dict[Values | None, Exact] = {}
        for group, quantity in groups:
            values = self._values(group)
            sums[values] = plus(sums.get(values, Decimal(0)), quantity)
        found = [
            (self._group(values), sums.pop(values)) for values, _ in self.cells if values in sums
        ]
        if sums or not found:
            group = self._group(next(iter(sums))) if len(sums) == 1 else None
            elsewhere: Exact = Decimal(0)
            for quantity in sums.values():
                elsewhere = plus(elsewhere, quantity)
            found.append((group, elsewhere))
        return tuple(found)

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        if seen.groups is None:
            return [self._line(seen.group, quantity)]
        return [self._line(group, units) for group, units in self.gathered(seen.groups)]

    def called(self, group: Group | None) -> str:
        """What lines call the cell that a group falls into: by its values."""
        values = self._values(group)
        if values is None:
            return "default"
        named = ", ".join(
            f"{name} {value or 'unknown'}"
            for name, value in zip(self.dimensions, values, strict=True)
        )
        return named if values in self._amounts else f"{named} (default)"

    def _line(self, group: Group | None, units: Exact) -> Step:
        values = self._values(group)
        unit_amount = self.default if values is None else self._amounts.get(values, self.default)
        return Step(
            kind="matrix",
            description=f"{self.called(group)}: {shown(units)} × {plain(unit_amount)}",
            quantity=units,
            unit_amount=unit_amount,
            amount=times(units, unit_amount),
        )

    def _values(self, group: Group | None) -> Values | None:
        return None if group is None else tuple(group.get(name, "") for name in self.dimensions)

    def _group(self, values: Values | None) -> Group | None:
        return None if values is None else dict(zip(self.dimensions, values, strict=True))

    @cached_property
    def _amounts(self) -> dict[Values, Decimal]:
        return dict(self.cells)

    def fields(self) -> dict[str, Any]:
        return {
            "dimensions": list(self.dimensions),
            "default": plain(self.default),
            "cells": [
                {
                    "group": dict(zip(self.dimensions, values, strict=True)),
                    "unit_amount": plain(amount),
                }
                for values, amount in self.cells
            ],
        }


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MAX_DIMENSIONS
        and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value)
    )
