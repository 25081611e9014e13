"""The `tollgate` command against a small platform."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.fake import Service
from tests.unit.client.platform import Platform, Run

CATALOG = """
meters:
  - {slug: requests, event_type: http.request, aggregation: count, unit: request}
plans:
  - slug: pro
    name: Pro
    currency: EUR
    interval: month
    prices: [{slug: requests, meter: requests, model: unit, unit_amount: "0.01"}]
tenants:
  - {key: acme, name: Acme, currency: EUR, timezone: Europe/Berlin, billing_day: 1}
subscriptions:
  - {tenant: acme, plan: pro, start: 2026-05-01T00:00:00Z}
rules:
  - {slug: daily, meter: requests, applies_to: {plan: pro}, window: day, limit: "10",
     action: {kind: deny}}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> str:
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    return str(path)


def test_a_catalog_is_applied_in_order_and_twice_is_once(
    run: Run, platform: Platform, service: Service, catalog: str
) -> None:
    _, out, _ = run("apply", "-f", catalog, "--json")
    results = [(one["kind"], one["name"]) for one in json.loads(out)["items"]]
    assert results == [
        ("meter", "requests"),
        ("plan", "pro"),
        ("tenant", "acme"),
        ("subscription", "acme on pro"),
        ("rule", "daily"),
    ]
    assert platform.stored["/v1/rules/daily"]["limit"] == "10"
    before = dict(platform.stored)
    _, out, _ = run("apply", "-f", catalog)
    assert "exists: s1" in out
    assert len(platform.subscriptions) == 1
    assert platform.subscriptions[0]["start"] == "2026-05-01T00:00:00Z"
    assert platform.stored == before


def test_what_a_service_does_not_know_yet_is_tried_again(
    run: Run, platform: Platform, catalog: str
) -> None:
    platform.unknown_first = {"PUT /v1/rules/daily": 2, "POST /v1/subscriptions": 1}
    run("apply", "-f", catalog)
    assert "/v1/rules/daily" in platform.stored
    del platform.stored["/v1/rules/daily"]
    platform.unknown_first = {"PUT /v1/rules/daily": 10**6}
    _, _, err = run("apply", "-f", catalog, "--wait", "0.1", code=1)
    assert err == "error: 422 unknown_meter: not yet\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- 1", "a catalog is a mapping"),
        ("metres: []", "unknown: metres"),
        ("meters: [{unit: x}]", "meters[0].slug: missing"),
        ("subscriptions: [{tenant: acme}]", "subscriptions[0].plan: missing"),
        ("rules: [daily]", "rules[0]: must be a mapping"),
    ],
)
def test_a_bad_catalog_changes_nothing(
    run: Run, platform: Platform, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    _, _, err = run("apply", "-f", str(path), code=1)
    assert message in err
    assert platform.stored == {}


def test_events_are_sent_from_a_file_with_what_they_lack(
    run: Run, platform: Platform, service: Service, tmp_path: Path
) -> None:
    platform.fixed["POST /v1/events"] = (200, {"accepted": 2, "rejected": []})
    path = tmp_path / "events.jsonl"
    path.write_text(
        '{"type":"t","subject":"acme","id":"1","data":{"n":0.1000}}\n\n'
        '{"type":"t","subject":"acme"}\n'
    )
    _, out, _ = run("events", "send", "-f", str(path))
    assert out == "2 accepted, 0 rejected\n"
    (asked,) = service.asked
    assert b'"n":0.1000' in asked.body
    one, two = asked.json()
    assert (one["id"], one["source"]) == ("1", "tollgate-cli")
    assert two["id"]
    assert two["time"].endswith("Z")


def test_rejected_events_end_with_an_error(run: Run, platform: Platform, tmp_path: Path) -> None:
    rejected = [{"index": 0, "id": None, "code": "missing_field", "message": "type is absent"}]
    platform.fixed["POST /v1/events"] = (422, {"code": "no_event", "rejected": rejected})
    path = tmp_path / "events.json"
    path.write_text('[{"subject": "acme"}]')
    _, out, err = run("events", "send", "-f", str(path), code=1)
    assert "0 accepted, 1 rejected" in out
    assert "event 0: missing_field type is absent" in err
    path.write_text('{"a": 1}\n[1]\n')
    assert "event 1: must be a JSON object" in run("events", "send", "-f", str(path), code=1)[2]
    path.write_text("{")
    assert "line 1: not JSON" in run("events", "send", "-f", str(path), code=1)[2]


def traced(platform: Platform) -> None:
    fixed: dict[str, Any] = {
        "/v1/events": {
            "state": "counted",
            "source": "app",
            "id": "1",
            "origin": {"partition": 2, "offset": 17},
            "received_at": "2026-05-15T12:00:01Z",
            "tenant": "acme",
            "type": "http.request",
            "time": "2026-05-15T12:00:00Z",
            "hour": "2026-05-15T12:00:00Z",
        },
        "/v1/meters": {
            "items": [
                {"slug": "requests", "event_type": "http.request", "aggregation": "count"},
                {"slug": "mails", "event_type": "mail", "aggregation": "count"},
            ]
        },
        "/v1/usage": {"meter": "requests", "items": [{"tenant": "acme", "value": "42"}]},
        "/v1/charges": {
            "items": [
                {
                    "id": "c1",
                    "tenant": "acme",
                    "subscription": "s1",
                    "plan": "pro",
                    "plan_version": 3,
                    "price": "requests",
                    "meter": "requests",
                    "from": "2026-05-01T00:00:00Z",
                    "to": "2026-06-01T00:00:00Z",
                    "quantity": "1000",
                    "amount": "10.00",
                    "currency": "EUR",
                }
            ]
        },
        "/v1/invoices": {
            "items": [
                {
                    "id": "i1",
                    "number": "T-0001",
                    "tenant": "acme",
                    "state": "finalised",
                    "currency": "EUR",
                    "lines": [
                        {"charge": "c1", "description": "Requests", "amount": "10.00"},
                        {"charge": "c9", "description": "Other", "amount": "1.00"},
                    ],
                }
            ]
        },
    }
    platform.fixed |= {f"GET {path}": (200, body) for path, body in fixed.items()}


def test_an_event_is_traced_to_its_invoice(run: Run, platform: Platform) -> None:
    traced(platform)
    _, out, _ = run("trace", "app", "1")
    for part in (
        "counted",
        "received 2026-05-15T12:00:01Z in usage.received (partition=2, offset=17)",
        "meter requests: hour 2026-05-15T12:00:00Z has 42",
        "charge c1: requests of pro v3, 1000 for 10.00 EUR",
        "invoice T-0001 (finalised): Requests, 10.00 EUR",
    ):
        assert part in out
    assert "mails" not in out
    assert "Other" not in out
    _, out, _ = run("trace", "app", "1", "--json")
    found = json.loads(out)
    assert found["counted"][0]["charges"][0]["invoices"][0]["number"] == "T-0001"


def test_an_unknown_event_is_said_to_be_unknown(run: Run, platform: Platform) -> None:
    platform.fixed["GET /v1/events"] = (200, {"state": "unknown", "source": "a", "id": "1"})
    _, out, _ = run("trace", "a", "1", code=1)
    assert "unknown" in out


def test_status_tells_what_is_not_ready(run: Run, platform: Platform) -> None:
    platform.fixed["GET /readyz"] = (200, {"ready": True, "checks": {"leases": True}})
    _, out, _ = run("status")
    assert out.count("ready") == 6
    platform.fixed["GET /readyz"] = (503, {"ready": False, "checks": {"leases": False}})
    _, out, _ = run("status", "--json", code=1)
    found = json.loads(out)
    assert found["services"][0]["why"] == "leases"


def test_lists_and_errors(run: Run, platform: Platform, catalog: str, tmp_path: Path) -> None:
    run("apply", "-f", catalog)
    assert "daily" in run("rules", "list")[1]
    assert json.loads(run("rules", "show", "daily", "--json")[1])["limit"] == "10"
    assert "404 not_found" in run("rules", "show", "nothing", code=1)[2]
    platform.fixed["GET /v1/invoices/i1.pdf"] = (200, b"%PDF-1.7")
    target = tmp_path / "out.pdf"
    run("invoices", "pdf", "i1", "-o", str(target))
    assert target.read_bytes() == b"%PDF-1.7"
    problem = {"code": "invalid_request", "errors": [{"path": "body.limit", "message": "bad"}]}
    platform.fixed["PUT /v1/rules/daily"] = (422, problem)
    _, _, err = run("rules", "put", "daily", "-f", catalog, code=1)
    assert "body.limit: bad" in err


@pytest.mark.parametrize("command", ["apply", "usage", "trace", "status"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    assert "--json" in run(command, "--help")[1]
