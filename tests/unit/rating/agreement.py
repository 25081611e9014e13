"""The product against the oracle: `python -m tests.unit.rating.agreement --cases 1000000`."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from fractions import Fraction

from rating.trial import try_price
from tests.unit.rating.oracle import Body, exact_amount, invoiced_amount
from tests.unit.rating.random_bodies import random_body

LAST_DECIMAL = Fraction(1, 10**18)


def disagreement(seed: int) -> str | None:
    """What the product says differently about the body number `seed`, None where it agrees."""
    body = random_body(seed)
    answer, errors = try_price(body)
    if errors:
        return f"refused: {errors}"
    exact = exact_amount(body)
    rounded = invoiced_amount(exact, body["currency"])
    if Fraction(answer["amount"]) != rounded:
        return f"amount {answer['amount']}, not {float(rounded)}"
    due = rounded - Fraction(body.get("invoiced", 0))
    if Fraction(answer["due"]) != due:
        return f"due {answer['due']}, not {float(due)}"
    residual = Fraction(answer["residual"])
    if residual != exact - rounded and (
        _ends(exact) or abs(residual - exact + rounded) > LAST_DECIMAL
    ):
        return f"residual {answer['residual']}, not {float(exact - rounded)}"
    if sum(Fraction(line["amount"]) for line in answer["lines"]) != rounded + residual:
        return "the lines do not add up"
    if not all(map(_is_product, answer["lines"])):
        return "a line's quantity times its unit amount is not its amount"
    return None


def disagreements(seeds: range) -> list[tuple[int, str]]:
    """Those of `seeds` that disagree, and how."""
    found = ((seed, disagreement(seed)) for seed in seeds)
    return [(seed, said) for seed, said in found if said is not None]


def _is_product(line: Body) -> bool:
    """Whether a line with a unit amount is its quantity times that, but for what cuts move."""
    if line["unit_amount"] is None:
        return True
    quantity, unit_amount, amount = (
        Fraction(line[name] or 0) for name in ("quantity", "unit_amount", "amount")
    )
    return abs(quantity * unit_amount - amount) <= LAST_DECIMAL * (unit_amount + 1000)


def _ends(value: Fraction) -> bool:
    """Whether the decimal has an end."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    last = asked.first + asked.cases
    chunks = [range(at, min(at + 5000, last)) for at in range(asked.first, last, 5000)]
    began = time.monotonic()
    wrong: list[tuple[int, str]] = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for found in pool.map(disagreements, chunks):
            wrong += found
    for seed, said in wrong[:20]:
        print(f"case {seed}: {said}\n  {random_body(seed)}")
    print(
        f"{asked.cases:,} random cases, {len(wrong):,} disagreements,"
        f" {Decimal(time.monotonic() - began):.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
