"""Query parameters that a route does not know are refused: a mistyped filter would answer with
more than was asked for, and a mistyped `dry_run` would do what was only to be tried."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from common.errors import UNKNOWN_PARAMETER, ApiError

_OPEN: Final = "{"
"""Begins the part of a declared name that callers choose: `filter.{dimension}`."""


def refuse_unknown(scope: Scope) -> None:
    """Raise `ApiError` for parameters that the API's description does not list at this route.

    The description is made once for each process, by the first request that has parameters.
    """
    known = _declared(scope)
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    unknown = {name: None for name, _ in query if not _is_known(name, known)}
    if unknown:
        listed = ", ".join(known) or "none"
        errors = [
            {"path": f"query.{name[:100]}", "message": f"is not a parameter here; known: {listed}"}
            for name in list(unknown)[:20]
        ]
        named = ", ".join(repr(name[:100]) for name in list(unknown)[:20])
        raise ApiError(
            UNKNOWN_PARAMETER, f"not known here: {named}; known: {listed}", errors=errors
        )


def _declared(scope: Scope) -> list[str]:
    described: Mapping[str, Any] = scope["app"].openapi()["paths"]
    operation = described.get(scope["route"].path_format, {}).get(scope["method"].lower(), {})
    return [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]


def _is_known(name: str, known: list[str]) -> bool:
    return name in known or any(
        name.startswith(one.partition(_OPEN)[0]) for one in known if _OPEN in one
    )
