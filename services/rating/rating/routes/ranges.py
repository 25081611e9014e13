"""What re-ratings and simulations are asked about: a range of time, and tenants."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from common.errors import INVALID_REQUEST, ApiError
from rating.errors import UNKNOWN_REFERENCE
from rating.ranges import Range, range_of
from rating.store import tenants
from rating.subscription import Refused


def asked_range(start: date, end: date, now: datetime) -> Range:
    """The range; raises `ApiError`."""
    try:
        return range_of(start, end, now=now)
    except Refused as refused:
        path = {"start": "from", "end": "to"}.get(refused.path, refused.path)
        raise ApiError(
            INVALID_REQUEST,
            f"body.{path}: {refused}",
            errors=[{"path": f"body.{path}", "message": str(refused)}],
        ) from None


async def require_tenants(connection: Any, keys: Sequence[str] | None) -> None:
    """Raises `ApiError` with those that there are not."""
    if keys is None:
        return
    missing = set(await tenants.missing(connection, keys))
    if not missing:
        return
    errors = [
        {"path": f"body.tenants.{place}", "message": f"there is no tenant {key}"}
        for place, key in enumerate(keys)
        if key in missing
    ]
    raise ApiError(UNKNOWN_REFERENCE, errors[0]["message"], errors=errors[:100])
