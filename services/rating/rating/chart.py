"""The chart of a simulation: how many tenants would pay how much more or less. SVG, no scripts."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from rating.simulation import Outcome

EDGES: Final = tuple(map(Decimal, ("-50", "-20", "-10", "-5", "0", "5", "10", "20", "50")))
"""Between the columns, in percent of what a tenant pays now; no change has a column of its own."""

WIDTH: Final = 960
LEFT: Final = 20
STEP: Final = 84
BASE: Final = 340
PLOT_HEIGHT: Final = 270
COLOURS: Final = ("#33658a", "#f6ae2d", "#758e4f", "#f26419", "#86bbd8", "#5b4b8a")


def labels() -> list[str]:
    """Of the columns, from those who save most to those who pay most more."""
    named = [f"below {EDGES[0]} %"]
    for low, high in pairwise(EDGES):
        if low == 0:
            named.append("same")
        named.append(f"{low} to {high} %")
    return [*named, f"above {EDGES[-1]} %"]


def column(outcome: Outcome) -> int:
    """The column of an outcome. Who pays nothing now and something then pays most more."""
    middle = EDGES.index(Decimal(0)) + 1
    if not outcome.difference:
        return middle
    if not outcome.now:
        return 0 if outcome.difference < 0 else len(EDGES) + 1
    percent = outcome.difference * 100 / abs(outcome.now)
    below = sum(edge < percent for edge in EDGES) if percent > 0 else 0
    return below + 1 if percent > 0 else sum(edge <= percent for edge in EDGES)


def draw(outcomes: Sequence[Outcome], title: str) -> str:
    """An SVG document: a column of tenants for each change, stacked by currency. Plain shapes and
    texts, so that it can stand in any page without a script."""
    currencies = sorted({one.currency for one in outcomes})
    counts = Counter((column(one), one.currency) for one in outcomes)
    heights = Counter(column(one) for one in outcomes)
    scale = PLOT_HEIGHT / max(heights.values(), default=1)
    shapes = [_text(WIDTH / 2, 24, title, "middle", 16)]
    for number, label in enumerate(labels()):
        left, top = LEFT + number * STEP, float(BASE)
        for place, currency in enumerate(currencies):
            tall = counts[number, currency] * scale
            top -= tall
            if tall:
                said = f"{label}: {counts[number, currency]:,} tenants in {currency}"
                shapes.append(
                    f'<rect x="{left}" y="{top:.1f}" width="{STEP - 12}" height="{tall:.1f}" '
                    f'fill="{COLOURS[place % len(COLOURS)]}"><title>{said}</title></rect>'
                )
        middle = left + (STEP - 12) / 2
        if heights[number]:
            shapes.append(_text(middle, top - 6, f"{heights[number]:,}", "middle"))
        shapes.append(_text(middle, BASE + 18, label, "middle", 10))
    shapes.append(_text(WIDTH / 2, BASE + 42, "change of what a tenant pays", "middle"))
    for place, currency in enumerate(currencies):
        shapes.append(
            f'<rect x="{LEFT + place * 70}" y="{BASE + 56}" width="12" height="12" '
            f'fill="{COLOURS[place % len(COLOURS)]}"/>'
        )
        shapes.append(_text(LEFT + place * 70 + 18, BASE + 66, currency, "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {BASE + 80}" '
        f'font-family="sans-serif">{"".join(shapes)}</svg>'
    )


def _text(x: float, y: float, said: str, anchor: str, size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{escape(said)}</text>"
