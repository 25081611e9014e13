"""What can go wrong, as exceptions. All are `TollgateError`."""

from collections.abc import Mapping
from typing import Any


class TollgateError(Exception):
    """Base of everything that this package raises on purpose."""


class Unreachable(TollgateError):
    """No answer: refused, reset, timed out. Whether the request took effect is not known; every
    request of this package may be sent again."""


class UnexpectedAnswer(TollgateError):
    """The answer is not what the API promises: another server, or another version."""


class ProblemError(TollgateError):
    """The service said no (problem+json).

    status       the HTTP status.
    code         stable, for machines; "" when the answer was no problem document.
    detail       for people.
    errors       for invalid requests: [{"path", "message"}].
    problem      the whole document.
    retry_after  seconds, where the service gave them.
    """

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after: float | None = None
    ) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code") or "")
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        self.errors: list[dict[str, Any]] = list(problem.get("errors") or [])
        self.retry_after = retry_after
        super().__init__(f"{status} {self.code}: {self.detail}".replace("  ", " "))


class Invalid(ProblemError):
    """400, 413, 415, 422: the request can never succeed as it is."""


class Unauthenticated(ProblemError):
    """401: the token is missing or unknown."""


class Forbidden(ProblemError):
    """403: the token lacks a scope, or the tenant is blocked."""


class NotFound(ProblemError):
    """404: there is no such thing."""


class Conflict(ProblemError):
    """409: the request contradicts what is there."""


class Refused(ProblemError):
    """402 or 429: a limit is reached."""


class Unavailable(ProblemError):
    """5xx: the service cannot answer now; retries had no success."""


def problem_error(
    status: int, problem: Mapping[str, Any], retry_after: float | None
) -> ProblemError:
    """The exception for an answer with `status`."""
    kinds: dict[int, type[ProblemError]] = {
        401: Unauthenticated,
        402: Refused,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        429: Refused,
    }
    default = Unavailable if status >= 500 else Invalid
    return kinds.get(status, default)(status, problem, retry_after)
