"""Where the services are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

SERVICES = ("collector", "ingest", "aggregator", "rating", "invoicer", "throttler")
FIRST_PORT = 8100


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Base addresses, without a slash at the end.

    Not given: the environment's TOLLGATE_<SERVICE>_URL, else 127.0.0.1 from port
    TOLLGATE_BASE_PORT (8100) on.
    """

    collector: str
    ingest: str
    aggregator: str
    rating: str
    invoicer: str
    throttler: str

    def of(self, service: str) -> str:
        address: str = getattr(self, service)
        return address


def addresses(
    given: Mapping[str, str | None] | None = None, environment: Mapping[str, str] | None = None
) -> Addresses:
    """Addresses from arguments first, then the environment, then the defaults."""
    given = given or {}
    environment = os.environ if environment is None else environment
    unknown = set(given) - set(SERVICES)
    if unknown:
        raise ValueError(f"no such service: {', '.join(sorted(unknown))}; known: {SERVICES}")
    first = int(environment.get("TOLLGATE_BASE_PORT", FIRST_PORT))
    found = {
        field.name: (
            given.get(field.name)
            or environment.get(f"TOLLGATE_{field.name.upper()}_URL")
            or f"http://127.0.0.1:{first + SERVICES.index(field.name)}"
        ).rstrip("/")
        for field in fields(Addresses)
    }
    return Addresses(**found)
