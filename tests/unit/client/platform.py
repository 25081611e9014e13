"""All services in one small server: what the command needs of them, kept in dicts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.unit.client.fake import Answer, Asked, Service, serving
from tollgate.addresses import SERVICES


class Platform:
    """Answers by (method, path pattern); `slow` names get "unknown" so many times first."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.subscriptions: list[dict[str, Any]] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.fixed: dict[str, Answer] = {}
        self.unknown_first: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Answer:
        path = f"{asked.method} {asked.path}"
        if path in self.fixed:
            return self.fixed[path]
        if self.unknown_first.get(path, 0) > 0:
            self.unknown_first[path] -= 1
            return 422, {"code": "unknown_meter", "detail": "not yet"}
        if path == "POST /v1/subscriptions":
            return self._subscribe(asked)
        if path == "GET /v1/subscriptions":
            mine = [s for s in self.subscriptions if s["tenant"] == asked.query["tenant"]]
            return 200, {"items": mine, "next": None}
        named = re.fullmatch(r"/v1/(meters|tenants|plans|rules)/(.+)", asked.path)
        if named and asked.method == "PUT":
            key = "key" if named[1] == "tenants" else "slug"
            body = {key: named[2], "version": 1, **asked.json()}
            self.stored[asked.path] = body
            return 200, body
        if asked.path in self.stored:
            return 200, self.stored[asked.path]
        listed = re.fullmatch(r"/v1/(\w+)", asked.path)
        if listed:
            prefix = asked.path + "/"
            items = [body for path, body in self.stored.items() if path.startswith(prefix)]
            return 200, {"items": items, "next": None}
        return 404, {"code": "not_found", "detail": path}

    def _subscribe(self, asked: Asked) -> Answer:
        key = asked.headers["idempotency-key"]
        if key not in self.keys:
            number = f"s{len(self.subscriptions) + 1}"
            self.keys[key] = {"id": number, "version": 1, **asked.json()}
            self.subscriptions.append(self.keys[key])
        return 201, self.keys[key]


@contextmanager
def running(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The platform at every service's address."""
    with serving(platform) as service:
        for name in SERVICES:
            monkeypatch.setenv(f"TOLLGATE_{name.upper()}_URL", service.address)
        yield service
