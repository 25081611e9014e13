"""Errors that callers see: problem+json (RFC 9457) with a stable code.

A code is declared once, with its status and its meaning; docs/errors.md is made from the list.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PROBLEM_JSON: Final = "application/problem+json"


@dataclass(frozen=True)
class ErrorCode:
    """`code` is for machines and never changes; `meaning` is for people."""

    code: str
    status: int
    meaning: str


CODES: Final[dict[tuple[str, int], ErrorCode]] = {}
"""By code and status: what is 404 in an address can be 422 in a body."""


def declare(code: str, status: int, meaning: str) -> ErrorCode:
    """Declare an error code; the same code and status twice must mean the same."""
    declared = ErrorCode(code, status, meaning)
    if CODES.setdefault((code, status), declared) != declared:
        raise ValueError(f"error code {code} is declared twice, with different meanings")
    return declared


INVALID_REQUEST: Final = declare(
    "invalid_request", 422, "A field is missing, has the wrong type or a value outside its range."
)
INVALID_JSON: Final = declare("invalid_json", 400, "The body is not JSON.")
DUPLICATE_KEY: Final = declare("duplicate_key", 400, "A JSON object has the same key twice.")
INVALID_NUMBER: Final = declare("invalid_number", 400, "NaN or Infinity, which JSON does not have.")
INVALID_TEXT: Final = declare(
    "invalid_text", 400, "A string with NUL, a lone surrogate or bytes that are not UTF-8."
)
TOO_DEEP: Final = declare("too_deep", 400, "The JSON is nested deeper than 64 levels.")
BODY_TOO_LARGE: Final = declare("body_too_large", 413, "The body is larger than allowed.")
UNSUPPORTED_ENCODING: Final = declare(
    "unsupported_encoding", 415, "The content encoding is not supported here."
)
UNSUPPORTED_MEDIA_TYPE: Final = declare(
    "unsupported_media_type", 415, "The content type is not supported here."
)
VALUE_OUT_OF_RANGE: Final = declare(
    "value_out_of_range", 422, "A value is larger than can be stored."
)
INVALID_CURSOR: Final = declare("invalid_cursor", 400, "The cursor did not come from this list.")
UNKNOWN_PARAMETER: Final = declare(
    "unknown_parameter", 422, "The address has a query parameter that this route does not know."
)
NOT_FOUND: Final = declare("not_found", 404, "There is no such thing.")
METHOD_NOT_ALLOWED: Final = declare("method_not_allowed", 405, "This path has other methods.")
UNAUTHENTICATED: Final = declare("unauthenticated", 401, "The bearer token is missing or unknown.")
FORBIDDEN: Final = declare("forbidden", 403, "The token does not have the scope.")
CONFLICT: Final = declare("conflict", 409, "The request contradicts what is there.")
IDEMPOTENCY_MISMATCH: Final = declare(
    "idempotency_key_reused", 422, "The Idempotency-Key was used with another body."
)
IDEMPOTENCY_BUSY: Final = declare(
    "idempotency_key_busy", 409, "A request with this Idempotency-Key is under way."
)
UNAVAILABLE: Final = declare(
    "unavailable", 503, "Something this service needs is away for the moment; try again."
)
INTERNAL: Final = declare("internal", 500, "A fault of the service; it has been logged.")


class ApiError(Exception):
    """An error for the caller. `extra` becomes further members of the problem document."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code, self.detail, self.headers, self.extra = code, detail, headers, extra


def problem(
    code: ErrorCode, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
) -> Response:
    """The response of an error."""
    if code.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": "2"} | (headers or {})
    return JSONResponse(
        {
            "type": f"urn:tollgate:error:{code.code}",
            "title": code.meaning,
            "status": code.status,
            "code": code.code,
            "detail": detail,
            **extra,
        },
        status_code=code.status,
        headers=headers,
        media_type=PROBLEM_JSON,
    )


async def answer_api_error(_: Request, error: Exception) -> Response:
    """Exception handler of `ApiError`."""
    assert isinstance(error, ApiError)
    return problem(error.code, error.detail, headers=error.headers, **error.extra)
