"""matrix: a unit costs what the cell says that its group values name.

`{"model": "matrix", "dimensions": ["region"], "default": "1", "cells": [{"group": {"region": "eu"},
"unit_amount": "2"}]}`: 10 units of eu cost 20, 10 of us cost 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Final, Self

from common.money import plain
from rating.exact import Exact, shown, times
from rating.prices.fields import Fields
from rating.prices.model import Seen, Step

MAX_DIMENSIONS: Final = 10
MAX_CELLS: Final = 1000


@dataclass(frozen=True)
class Matrix:
    """`cells`: unit amounts by the values of `dimensions`, in their order; `default`: elsewhere.
    A value that usage does not have is the empty text, as it is in rollups."""

    name: ClassVar[str] = "matrix"
    metered: ClassVar[bool] = True
    needs: ClassVar[str | None] = "group"
    by_quantity: ClassVar[bool] = True

    dimensions: tuple[str, ...]
    default: Decimal
    cells: tuple[tuple[tuple[str, ...], Decimal], ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        names = fields.raw("dimensions")
        if not _are_names(names):
            fields.refuse("dimensions", f"must be a list of 1 to {MAX_DIMENSIONS} different names")
            names = []
        cells: dict[tuple[str, ...], Decimal] = {}
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
        return cls(dimensions=tuple(names), default=default, cells=tuple(sorted(cells.items())))

    def lines(self, quantity: Exact, seen: Seen) -> Sequence[Step]:
        values = tuple(seen.group.get(name, "") for name in self.dimensions)
        found = self._amounts.get(values)
        unit_amount = self.default if found is None else found
        named = ", ".join(
            f"{name} {value or 'unknown'}"
            for name, value in zip(self.dimensions, values, strict=True)
        )
        return [
            Step(
                kind="matrix",
                description=f"{named}{' (default)' if found is None else ''}: "
                f"{shown(quantity)} × {plain(unit_amount)}",
                quantity=quantity,
                unit_amount=unit_amount,
                amount=times(quantity, unit_amount),
            )
        ]

    @cached_property
    def _amounts(self) -> dict[tuple[str, ...], Decimal]:
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
