"""Evaluates what an explanation prints, term by term, knowing school arithmetic only."""

import re
from fractions import Fraction
from math import ceil, floor

from rating.exact import settle

_ROUNDED = re.compile(
    r"(?P<value>.*), rounded (?P<how>up|down|half away from zero) to (?P<places>\d+) decimals?"
)
_KEPT = re.compile(r"(?P<value>.*), kept to 18 decimals")


def evaluate(text: str) -> Fraction:
    """The value of one side of an equation."""
    kept = _KEPT.fullmatch(text)
    if kept is not None:
        return Fraction(settle(evaluate(kept["value"])))
    rounding = _ROUNDED.fullmatch(text)
    if rounding is not None:
        scaled = evaluate(rounding["value"]) * 10 ** int(rounding["places"])
        match rounding["how"]:
            case "up":
                units = ceil(scaled)
            case "down":
                units = floor(scaled)
            case _:
                units = floor(abs(scaled) + Fraction(1, 2)) * (1 if scaled >= 0 else -1)
        return Fraction(units, 10 ** int(rounding["places"]))
    text = re.sub(r"\(≈[^)]*\)", "", text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\b(?!max\b|min\b)[a-z][a-z-]*", "", text)
    text = re.sub(r"\d+(\.\d+)?(/\d+)?", lambda found: f"Fraction('{found[0]}')", text)
    text = text.replace("×", "*").replace("÷", "/")
    value: Fraction = eval(text, {"Fraction": Fraction, "max": max, "min": min})
    return Fraction(value)


def last_value(text: str) -> Fraction:
    """The right side, after making sure that every side of the equation is equal."""
    sides = text.rpartition(": ")[2].split(" = ")
    values = [evaluate(sides[0])]
    for side in sides[1:]:
        said, _, rounding = side.partition(", ")
        values.append(evaluate(said))
        assert values[-1] == values[-2], text
        if rounding:
            values[-1] = evaluate(side)
    return values[-1]
