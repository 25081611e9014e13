"""Usage by tenant, hour, meter and path beside the truth. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from chaos.truth import Cell


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell whose usage is not the truth."""

    cell: Cell
    expected: Decimal
    found: Decimal

    def __str__(self) -> str:
        cell = self.cell
        host = f", path {cell.host}" if cell.host else ""
        return (
            f"tenant {cell.tenant}, hour {cell.hour:%Y-%m-%dT%H:%MZ}, meter {cell.meter}{host}:"
            f" expected {self.expected}, found {self.found} ({self.found - self.expected:+})"
        )


def differences(
    expected: Mapping[Cell, Decimal], found: Mapping[Cell, Decimal]
) -> list[Difference]:
    """Every cell in which the two differ, counts first, then by hour; an absent cell is zero."""
    nothing = Decimal(0)
    cells = [
        Difference(cell, expected.get(cell, nothing), found.get(cell, nothing))
        for cell in expected.keys() | found.keys()
        if expected.get(cell, nothing) != found.get(cell, nothing)
    ]
    return sorted(cells, key=lambda d: (d.cell.meter != "requests", d.cell.hour, d.cell))


def miscounted(wrong: Iterable[Difference]) -> tuple[int, int]:
    """How many events the usage lacks, and how many it has too often."""
    changes = [d.found - d.expected for d in wrong if d.cell.meter == "requests"]
    too_few = -sum(change for change in changes if change < 0)
    too_many = sum(change for change in changes if change > 0)
    return int(too_few), int(too_many)
