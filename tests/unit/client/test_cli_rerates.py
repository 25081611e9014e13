"""`tollgate rerates` and `tollgate simulate`: the past rated again, and as a draft would have."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.fake import Service
from tests.unit.client.platform import Platform, Run

OCTOBER = ("--from", "2026-10-01", "--to", "2026-11-01")
RERATE: dict[str, Any] = {
    "id": "r1",
    "state": "preview",
    "created_at": "2026-11-02T00:00:00Z",
    "created_by": "ann",
    "reason": "the price was mistyped",
    "request": {"from": "2026-10-01", "to": "2026-11-01"},
    "summary": {
        "totals": {
            "USD": {"difference": "-85", "up": "5", "down": "-90", "charges": 2, "tenants": 2}
        },
        "charges": 2,
    },
    "decided_at": None,
    "decided_by": None,
}
APPLIED = RERATE | {"state": "applied", "decided_at": "2026-11-02T01:00:00Z", "decided_by": "bob"}
PLAN = """
plans:
  - slug: pro
    name: Pro
    currency: EUR
    prices: [{slug: requests, meter: requests, model: unit, unit_amount: "0.03"}]
"""
TOTALS = {
    "currency": "EUR",
    "tenants": 2,
    "now": "30.1",
    "then": "30.3",
    "difference": "0.2",
    "winners": 1,
    "losers": 1,
}
SIMULATED: dict[str, Any] = {
    "from": "2026-10-01",
    "to": "2026-11-01",
    "totals": [TOTALS],
    "tenants": [
        {"tenant": "acme", "currency": "EUR", "now": "20", "then": "30", "difference": "10"},
        {"tenant": "brill", "currency": "EUR", "now": "10.1", "then": "0.3", "difference": "-9.8"},
    ],
    "skipped": [],
    "chart": "<svg/>",
}


def charge(tenant: str, amount: str) -> dict[str, Any]:
    return {
        "id": f"{tenant}:requests",
        "tenant": tenant,
        "subscription": tenant,
        "price": "requests",
        "currency": "USD",
        "amount": amount,
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-11-01T00:00:00Z",
    }


def line(number: int, tenant: str, before: str | None, after: str) -> dict[str, Any]:
    return {
        "number": number,
        "tenant": tenant,
        "charge": f"{tenant}:requests",
        "before": None if before is None else charge(tenant, before),
        "after": charge(tenant, after),
    }


@pytest.fixture
def rating(platform: Platform) -> Platform:
    """Knows one re-rating, of two charges."""
    lines = [line(1, "acme", "100", "10"), line(2, "brill", None, "5")]
    platform.stored["/v1/plans/standard"] = {"slug": "standard", "version": 2}
    platform.fixed |= {
        "POST /v1/rerates": (201, RERATE),
        "GET /v1/rerates": (200, {"items": [APPLIED, RERATE], "next": None}),
        "GET /v1/rerates/r1": (200, RERATE),
        "GET /v1/rerates/r1/lines": (200, {"items": lines, "next": None}),
        "POST /v1/rerates/r1/approve": (200, APPLIED),
        "POST /v1/rerates/r1/discard": (200, APPLIED | {"state": "discarded"}),
        "POST /v1/simulations": (200, SIMULATED),
    }
    return platform


def test_a_preview_shows_every_charge_before_and_after(
    run: Run, rating: Platform, service: Service
) -> None:
    because = ("--reason", "the price was mistyped", "--by", "ann")
    _, out, _ = run("rerates", "preview", *OCTOBER, *because, "--plan", "standard")
    for words in (
        "re-rating r1",
        "USD 2 2 5 -90 -85",
        "acme requests 2026-10-01T00:00:00Z 100 10 -90 USD",
        "brill requests 2026-10-01T00:00:00Z - 5 5 USD",
    ):
        assert words in " ".join(out.split())
    [asked] = [one for one in service.asked if one.method == "POST"]
    assert asked.json() == {
        "from": "2026-10-01",
        "to": "2026-11-01",
        "reason": "the price was mistyped",
        "by": "ann",
        "tenants": None,
        "plan": {"slug": "standard", "version": 2, "replaces": None},
    }
    assert asked.headers["idempotency-key"]


def test_what_is_rated_again_can_be_narrowed(run: Run, rating: Platform, service: Service) -> None:
    because = ("--reason", "r", "--by", "ann")
    wrong = ("--plan", "standard", "--version", "3", "--replaces", "1", "--replaces", "2")
    some = ("--tenant", "acme", "--tenant", "brill")
    _, out, _ = run("rerates", "preview", *OCTOBER, *because, *wrong, *some, "--json")
    assert [one["after"]["amount"] for one in json.loads(out)["lines"]] == ["10", "5"]
    asked = service.asked[0].json()
    assert asked["plan"] == {"slug": "standard", "version": 3, "replaces": [1, 2]}
    assert asked["tenants"] == ["acme", "brill"]
    run("rerates", "preview", *OCTOBER, *because)
    assert [one for one in service.asked if one.method == "POST"][-1].json()["plan"] is None
    _, _, err = run("rerates", "preview", *OCTOBER, *because, "--version", "3", code=2)
    assert "of a --plan" in err


def test_a_preview_is_shown_again_and_decided(run: Run, rating: Platform, service: Service) -> None:
    assert "re-rating r1" in run("rerates", "show", "r1", "--tenant", "acme")[1]
    assert service.asked[-1].query["tenant"] == "acme"
    assert run("rerates", "approve", "r1", "--by", "bob")[1] == "r1 is applied, by bob\n"
    assert service.asked[-1].json() == {"by": "bob"}
    assert run("rerates", "discard", "r1", "--by", "bob")[1] == "r1 is discarded, by bob\n"
    _, out, _ = run("rerates", "list")
    assert (out.count("r1"), out.count("applied"), out.count("preview")) == (2, 1, 1)


def test_what_cannot_be_approved_any_more(run: Run, rating: Platform) -> None:
    said = {"code": "rerate_stale", "detail": "closed charges have changed since the preview"}
    rating.fixed["POST /v1/rerates/r1/approve"] = (409, said)
    _, _, err = run("rerates", "approve", "r1", "--by", "bob", code=1)
    assert err == "error: 409 rerate_stale: closed charges have changed since the preview\n"


def test_more_charges_than_a_screen_takes(run: Run, rating: Platform, service: Service) -> None:
    page = {"items": [line(1, "acme", "100", "10")], "next": "more"}
    rating.fixed["GET /v1/rerates/r1/lines"] = (200, page)
    assert "and more (--json shows all)" in run("rerates", "show", "r1")[1]
    assert len(service.asked) == 2


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "pro.yaml"
    path.write_text(PLAN)
    return path


def test_who_would_have_paid_what(
    run: Run, rating: Platform, service: Service, draft: Path, tmp_path: Path
) -> None:
    chart = tmp_path / "chart.svg"
    _, out, _ = run("simulate", "-f", str(draft), *OCTOBER, "--svg", str(chart))
    for words in ("acme 20 30 10 EUR", "brill 10.1 0.3 -9.8 EUR", "EUR 2 30.1 30.3 0.2 1 1"):
        assert words in " ".join(out.split())
    assert "skipped" not in out
    assert chart.read_text() == "<svg/>"
    [asked] = service.asked
    price = {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.03"}
    assert asked.json() == {
        "replaces": "pro",
        "plan": {"name": "Pro", "currency": "EUR", "prices": [price]},
        "from": "2026-10-01",
        "to": "2026-11-01",
        "tenants": None,
    }


def test_a_draft_for_others_and_whom_it_cannot_be_for(
    run: Run, rating: Platform, service: Service, draft: Path
) -> None:
    skipped = {"tenant": "cy", "subscription": "s3", "reason": "it is not sold in USD"}
    rating.fixed["POST /v1/simulations"] = (200, SIMULATED | {"skipped": [skipped]})
    chosen = ("--replaces", "standard", "--tenant", "acme")
    _, out, _ = run("simulate", "-f", str(draft), *OCTOBER, *chosen)
    assert "cy s3 it is not sold in USD" in " ".join(out.split())
    _, out, _ = run("simulate", "-f", str(draft), *OCTOBER, *chosen, "--json")
    assert json.loads(out)["tenants"][1]["difference"] == "-9.8"
    asked = service.asked[-1].json()
    assert (asked["replaces"], asked["tenants"]) == ("standard", ["acme"])


def test_which_plan_of_several(run: Run, rating: Platform, service: Service, draft: Path) -> None:
    draft.write_text(PLAN + "  - {slug: team, name: Team, currency: EUR, prices: []}\n")
    _, _, err = run("simulate", "-f", str(draft), *OCTOBER, code=1)
    assert "looked for one plan, found pro, team" in err
    run("simulate", "-f", str(draft), *OCTOBER, "--plan", "team")
    assert service.asked[-1].json()["replaces"] == "team"
    _, _, err = run("simulate", "-f", str(draft), *OCTOBER, "--plan", "nobody", code=1)
    assert "looked for plan nobody, found none" in err
