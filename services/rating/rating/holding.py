"""How a gauge's unit-hours come about: each level times the hours that it was held. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import groupby
from typing import Any, Final

from rating.equations import Equation, number, sum_of
from rating.exact import EXACT, Exact, over, times
from rating.parts.usage import HeldLevel

SHOWN: Final = 24
"""Up to so many levels stand in the equations; more are a list only."""
_HOUR: Final = Decimal(3600)


@dataclass(frozen=True)
class LevelPage:
    """Levels by group and time. `following`: the cursor of the next page. `is_whole`: there are no
    others."""

    held: Sequence[HeldLevel]
    following: str | None = None
    is_whole: bool = True


def holding(evidence: Mapping[str, Any], page: LevelPage | None) -> list[Equation]:
    """The way to the quantity of a charge. `evidence`: what it says of levels. Where the levels on
    the `page` are not what it has seen (a report came late), or are too many, the charge's own sum
    is told."""
    with localcontext(EXACT):
        seen = Decimal(evidence["unit_seconds"])
        held = page.held if page is not None and page.is_whole else ()
        if not 0 < len(held) <= SHOWN or sum(one.level * one.seconds for one in held) != seen:
            said = f"{number(seen)} unit-seconds ÷ 3,600 = {_hours(over(seen, _HOUR))}"
            return [Equation("levels", f"All levels held: {said}")]
        told: list[Equation] = []
        sums: list[Exact] = []
        for group, levels in groupby(held, key=lambda one: one.group):
            products = [(one.level, one.hours) for one in levels]
            sums.append(sum_of([times(level, hours) for level, hours in products]))
            terms = " + ".join(f"{number(level)} × {number(hours)} h" for level, hours in products)
            named = ", ".join(f"{name}={value}" for name, value in group.items())
            label = f"{named}: " if named else ""
            told.append(Equation("levels", f"{label}{terms} = {_hours(sums[-1])}"))
        if len(sums) > 1:
            said = f"{' + '.join(map(number, sums))} = {_hours(sum_of(sums))}"
            told.append(Equation("levels", f"All groups: {said}"))
        return told


def _hours(value: Exact) -> str:
    return f"{number(value)} unit-hours"
