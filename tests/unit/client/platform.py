"""All services in one small server: what the command needs of them, kept in dicts."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.unit.client.fake import Answer, Asked, Service, serving
from tollgate.addresses import SERVICES

Run = Callable[..., tuple[int, str, str]]
"""The command with its arguments, and `code`, its exit code: (exit code, stdout, stderr)."""


class Platform:
    """Answers by (method, path pattern). `unknown_first` get "unknown" so many times first;
    `meanwhile`: what happens just before a writing request is taken."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.subscriptions: list[dict[str, Any]] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.fixed: dict[str, Answer] = {}
        self.unknown_first: dict[str, int] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.revision = 0
        self.published: list[dict[str, Any]] = []
        self.subscribed: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, asked: Asked) -> Answer:
        path = f"{asked.method} {asked.path}"
        if path in self.fixed:
            return self.fixed[path]
        if self.unknown_first.get(path, 0) > 0 and "dry_run" not in asked.query:
            self.unknown_first[path] -= 1
            return 422, {"code": "unknown_meter", "detail": "not yet"}
        if path in self.meanwhile and "dry_run" not in asked.query:
            self.meanwhile.pop(path)()
        if path == "GET /v1/catalog":
            plans = [self._plan(b) for at, b in sorted(self.stored.items()) if "/plans/" in at]
            told = {"revision": self.revision, "plans": plans, "subscribed": self.subscribed}
            return 200, told
        if path == "POST /v1/catalog":
            return self._publish(asked.json(), "dry_run" in asked.query)
        if path == "POST /v1/subscriptions":
            return self._subscribe(asked)
        if path == "GET /v1/subscriptions":
            mine = [s for s in self.subscriptions if s["tenant"] == asked.query["tenant"]]
            return 200, {"items": mine, "next": None}
        named = re.fullmatch(r"/v1/(meters|tenants|plans|rules)/(.+)", asked.path)
        if named and asked.method == "PUT":
            key = "key" if named[1] == "tenants" else "slug"
            number = "revision" if named[1] == "meters" else "version"
            body = {key: named[2], number: 1, **asked.json()}
            known = self.stored.get(asked.path)
            if known is not None:
                same = known == {**body, number: known[number]}
                body[number] = known[number] + (not same)
            if asked.query.get("in_force") not in (None, str(known[number] if known else 0)):
                return 409, {"code": f"{named[1][:-1]}_changed", "detail": "look again"}
            if "dry_run" not in asked.query:
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

    def _publish(self, said: dict[str, Any], dry_run: bool) -> Answer:
        told = []
        if not dry_run and said["revision"] not in (None, self.revision):
            return 409, {"code": "catalog_changed", "detail": "look again"}
        for body in said["plans"]:
            known = self.stored.get(f"/v1/plans/{body['slug']}")
            before = self._plan(known) if known else None
            change = "created" if before is None else "changed" if before != body else "unchanged"
            version = (known["version"] if known else 0) + (change != "unchanged")
            if not dry_run:
                self.stored[f"/v1/plans/{body['slug']}"] = {**body, "version": version}
            told.append(
                {
                    "slug": body["slug"],
                    "change": change,
                    "version": version,
                    "before": before,
                    "after": body,
                    "subscribed": self.subscribed.get(body["slug"], []),
                }
            )
        if not dry_run:
            self.revision += any(one["change"] != "unchanged" for one in told)
            self.published.append(said)
        return 200, {"revision": self.revision, "dry_run": dry_run, "plans": told}

    def _plan(self, stored: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in stored.items() if name != "version"}

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
