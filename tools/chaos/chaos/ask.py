"""Asking the services over HTTP, like anybody: any process of a service may answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from chaos import cast
from chaos.site import Site

TIMEOUT_SECONDS = 10.0
PATIENCE_SECONDS = 240.0


class Unanswered(RuntimeError):
    """No process of the service gave an answer in time."""


class Ask:
    """Requests that are sent to one process after the other until one answers.

    A GET is repeated freely; a POST or PUT must be one that does the same when it is sent twice.
    """

    def __init__(self, site: Site, http: httpx.AsyncClient) -> None:
        self._site, self._http = site, http
        self._turn = 0

    async def answer(
        self,
        method: str,
        service: str,
        path: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        **options: Any,
    ) -> httpx.Response:
        """The first answer that is neither 5xx nor a broken connection."""
        deadline = time.monotonic() + patience_seconds
        names = cast.of_service(service)
        problem = ""
        while time.monotonic() < deadline:
            self._turn += 1
            url = self._site.url(names[self._turn % len(names)])
            try:
                answer = await self._http.request(
                    method, url + path, timeout=TIMEOUT_SECONDS, **options
                )
                if answer.status_code < 500:
                    return answer
                problem = f"{answer.status_code} {answer.text[:200]}"
            except httpx.TransportError as error:
                problem = repr(error)
            await asyncio.sleep(0.2)
        raise Unanswered(f"{method} {path} of {service}: {problem}")

    async def get(self, service: str, path: str, **query: Any) -> Any:
        """The JSON of a 200; RuntimeError for any other answer."""
        answer = await self.answer("GET", service, path, params=query)
        return _json(answer, f"GET {path}")

    async def put(self, service: str, path: str, body: Any) -> Any:
        return _json(await self.answer("PUT", service, path, json=body), f"PUT {path}")

    async def post(self, service: str, path: str, body: Any, key: str) -> Any:
        """Under an idempotency key."""
        headers = {"Idempotency-Key": key}
        answer = await self.answer("POST", service, path, json=body, headers=headers)
        return _json(answer, f"POST {path}")

    async def items(self, service: str, path: str, **query: Any) -> AsyncIterator[Any]:
        """All items of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(service, path, limit="1000", **query, **cursor)
            for item in page["items"]:
                yield item
            if not page.get("next"):
                return
            cursor = {"cursor": page["next"]}


def _json(answer: httpx.Response, what: str) -> Any:
    if not answer.is_success:
        raise RuntimeError(f"{what}: {answer.status_code} {answer.text[:500]}")
    return answer.json()
