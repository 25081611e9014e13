"""The generic cell rate algorithm: a token bucket kept in one integer.

State is the theoretical arrival time (`tat`), in nanoseconds of the caller's clock. Integers
only: no drift, and about a third of a microsecond a decision in CPython.
Source: ITU-T I.371, annex A; the "virtual scheduling" form.
"""

from decimal import ROUND_CEILING, Decimal

NANOSECONDS_PER_SECOND = 1_000_000_000


def interval_ns(rate: Decimal) -> int:
    """Nanoseconds between two units at `rate` units a second (> 0), rounded up.

    Rounding up means that the limiter never lets more than `rate` through in the long run.
    """
    if not rate.is_finite() or rate <= 0:
        raise ValueError(f"rate must be a finite number above 0, not {rate}")
    interval = (NANOSECONDS_PER_SECOND / rate).to_integral_value(rounding=ROUND_CEILING)
    return max(1, int(interval))


class Gcra:
    """One limiter: `burst` units at once (>= 1), then one every `interval_ns`."""

    __slots__ = ("burst", "interval_ns", "tat_ns")

    def __init__(self, rate: Decimal, burst: int) -> None:
        self.tat_ns = 0
        self.retune(rate, burst)

    def retune(self, rate: Decimal, burst: int) -> None:
        """Change rate and burst; what was spent already stays spent."""
        if burst < 1:
            raise ValueError(f"burst must be at least 1, not {burst}")
        self.interval_ns = interval_ns(rate)
        self.burst = burst

    def admit(self, now_ns: int, cost: int = 1) -> int | None:
        """Spend `cost` units (>= 0) if there are as many.

        Returns 0 when they were spent, otherwise the nanoseconds until they are there; None when
        they never are, because `cost` is more than a full bucket. A refusal changes nothing, so
        waiting callers do not push each other back.
        """
        if cost > self.burst:
            return None
        window_ns = self.interval_ns * self.burst
        # A clock that stepped back must not lock the caller out for longer than a full bucket.
        tat_ns = min(max(self.tat_ns, now_ns), now_ns + window_ns)
        spent_ns = tat_ns + self.interval_ns * cost
        wait_ns = spent_ns - window_ns - now_ns
        if wait_ns > 0:
            return wait_ns
        self.tat_ns = spent_ns
        return 0

    def remaining(self, now_ns: int) -> int:
        """Units that could be spent at once at `now_ns`, 0 to `burst`."""
        ahead_ns = max(0, self.tat_ns - now_ns)
        return max(0, self.burst - -(-ahead_ns // self.interval_ns))
