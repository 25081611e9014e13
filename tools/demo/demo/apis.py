"""What the demo asks the services, over HTTP like anybody."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx

from stack.ports import Ports

T = TypeVar("T")


class Apis:
    """The six services' APIs, on one stack's ports."""

    def __init__(self, ports: Ports) -> None:
        names = ("collector", "ingest", "aggregator", "rating", "invoicer", "throttler")
        self.address = {
            name: f"http://127.0.0.1:{ports.service(offset)}" for offset, name in enumerate(names)
        }
        self._http = httpx.Client(timeout=20)

    def get(self, service: str, path: str, **query: Any) -> Any:
        """The JSON of a GET; `httpx.HTTPStatusError` unless it is 200."""
        answer = self._http.get(self.address[service] + path, params=query)
        answer.raise_for_status()
        return answer.json()

    def items(self, service: str, path: str, **query: Any) -> Iterator[Any]:
        """All items of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(service, path, **query, **cursor)
            yield from page["items"]
            if not page.get("next"):
                return
            cursor = {"cursor": page["next"]}

    def post(self, service: str, path: str, body: Any, key: str) -> Any:
        """The JSON of a POST under an idempotency key, tried until the service is back."""

        def send() -> Any | None:
            answer = self._http.post(
                self.address[service] + path, json=body, headers={"Idempotency-Key": key}
            )
            if answer.status_code == 503:
                return None
            if answer.is_error:
                raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text}")
            return answer.json()

        return until(send, f"POST {path}", seconds=30)

    def save(self, service: str, path: str, file: Path) -> Path:
        """Save what a GET answers."""
        answer = self._http.get(self.address[service] + path)
        answer.raise_for_status()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.content)
        return file

    def usage(
        self, meters: list[str], start: datetime, end: datetime
    ) -> dict[tuple[str, str], Decimal]:
        """Metered units by (tenant, meter) in [start, end)."""
        found = {}
        for meter in meters:
            items = self.items(
                "aggregator",
                "/v1/usage",
                meter=meter,
                window="none",
                **{"from": rfc3339(start), "to": rfc3339(end)},
            )
            for item in items:
                found[item["tenant"], meter] = Decimal(item["value"])
        return found


def rfc3339(at: datetime) -> str:
    """A UTC instant with Z."""
    return at.isoformat().replace("+00:00", "Z")


def until(ask: Callable[[], T | None], what: str, *, seconds: float = 60) -> T:
    """The first answer of `ask` that is not None or False; services may be restarting."""
    deadline = time.monotonic() + seconds
    problem: Exception | None = None
    while time.monotonic() < deadline:
        try:
            answer = ask()
        except httpx.HTTPError as error:
            problem, answer = error, None
        if answer:
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s" + (f" ({problem})" if problem else ""))
