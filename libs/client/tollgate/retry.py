"""When to try again, and when to stop: the same for both clients."""

from dataclasses import dataclass

import httpx
from tenacity import RetryCallState, retry_if_exception, wait_random_exponential
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from tollgate.errors import ProblemError, Unreachable

RETRIED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying.

    total_seconds   no try begins later than this after the first; 0: one try only.
    pause_max_seconds  the longest pause between tries, unless Retry-After asks for more.
    """

    total_seconds: float = 30
    pause_max_seconds: float = 5


def is_transient(error: BaseException) -> bool:
    """Whether another try may succeed: no answer, or 429, 502, 503, 504."""
    if isinstance(error, ProblemError):
        return error.status in RETRIED
    return isinstance(error, Unreachable)


transient = retry_if_exception(is_transient)


class pause(wait_base):
    """Exponential with full jitter, and never shorter than Retry-After."""

    def __init__(self, patience: Patience) -> None:
        self._jitter = wait_random_exponential(multiplier=0.2, max=patience.pause_max_seconds)

    def __call__(self, retry_state: RetryCallState) -> float:
        asked = retry_after(retry_state)
        return max(self._jitter(retry_state), asked)


class out_of_patience(stop_base):
    """Stop when the pause that Retry-After asks for would end beyond the total."""

    def __init__(self, patience: Patience) -> None:
        self._total_seconds = patience.total_seconds

    def __call__(self, retry_state: RetryCallState) -> bool:
        elapsed = retry_state.seconds_since_start or 0.0
        return elapsed + retry_after(retry_state) >= self._total_seconds


def retry_after(retry_state: RetryCallState) -> float:
    """Seconds that the last answer asked to wait; 0 without."""
    outcome = retry_state.outcome
    error = outcome.exception() if outcome is not None else None
    return (error.retry_after or 0.0) if isinstance(error, ProblemError) else 0.0


def unreachable(error: httpx.TransportError, request: str) -> Unreachable:
    """The exception for a request without an answer."""
    return Unreachable(f"{request}: {type(error).__name__}: {error}".rstrip(": "))
