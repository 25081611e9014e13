"""The catalog as code: what would change, all of it or nothing, and the same bytes back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.client.platform import Platform, Run
from tollgate.catalog.files import BadCatalog, merge, read, read_files, write, write_folder
from tollgate.catalog.state import canonical

METERS = """
meters:
  - {slug: requests, event_type: http.request, aggregation: count, unit: request}
"""
PLANS = """
plans:
  - slug: pro
    name: Pro
    currency: EUR
    prices: [{slug: requests, meter: requests, model: unit, unit_amount: "0.01"}]
"""
RULES = """
rules:
  - {slug: daily, meter: requests, applies_to: {plan: pro}, window: day, limit: "10",
     action: {kind: deny}}
"""

PlanCommand = Callable[..., tuple[str, str]]


@pytest.fixture
def plan(run: Run) -> PlanCommand:
    """`tollgate plan ...`: (standard output, standard error)."""

    def command(*arguments: str, code: int = 0) -> tuple[str, str]:
        _, out, err = run("plan", *arguments, code=code)
        return out, err

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog of three files."""
    for name, text in (("meters", METERS), ("plans/pro", PLANS), ("rules/daily", RULES)):
        path = tmp_path / "catalog" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "catalog"


def test_what_would_change_and_whom_it_concerns(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    plan("apply", "-f", str(folder))
    dearer = PLANS.replace("0.01", "0.02")
    (folder / "plans" / "pro.yaml").write_text(dearer, encoding="utf-8")
    platform.subscribed = {
        "pro": [{"version": 1, "subscriptions": 3, "tenants": 2, "some": ["acme", "zebra"]}]
    }
    before = dict(platform.stored)
    out, _ = plan("diff", "-f", str(folder))
    assert "plan pro: changed" in out
    assert '-    unit_amount: "0.01"' in out.replace("'", '"')
    assert '+    unit_amount: "0.02"' in out.replace("'", '"')
    assert "version 1 keeps 3 subscriptions of 2 tenants: acme, zebra" in out
    assert "1 would change, 2 stay as they are" in out
    assert platform.stored == before


def test_applying_is_one_revision_and_twice_is_once(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    plan("apply", "-f", str(folder))
    assert platform.revision == 1
    stored = json.dumps(platform.stored, sort_keys=True)
    plan("apply", "-f", str(folder))
    assert platform.revision == 1
    assert json.dumps(platform.stored, sort_keys=True) == stored


def test_one_problem_anywhere_and_nothing_is_written(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    platform.fixed["PUT /v1/rules/daily"] = (
        422,
        {"code": "invalid", "detail": "no", "errors": [{"path": "body.limit", "message": "too"}]},
    )
    _, err = plan("apply", "-f", str(folder), code=1)
    assert "rules/daily.yaml: rules[0].limit: too" in err
    assert "nothing was changed" in err
    assert platform.stored == {}


def test_problems_of_plans_are_told_where_they_stand(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    errors = [{"path": "body.plans[0].prices[0].unit_amount", "message": "is missing"}]
    platform.fixed["POST /v1/catalog"] = (422, {"code": "invalid_price", "errors": errors})
    _, err = plan("diff", "-f", str(folder), code=1)
    assert "plans/pro.yaml: plans[0].prices[0].unit_amount: is missing" in err


def test_an_export_applied_and_exported_is_the_same_bytes(
    plan: PlanCommand, folder: Path, tmp_path: Path
) -> None:
    plan("apply", "-f", str(folder))
    first, _ = plan("export")
    plan("export", "-o", str(tmp_path / "out"))
    plan("apply", "-f", str(tmp_path / "out"))
    again, _ = plan("export")
    assert again == first
    files = read_files(tmp_path / "out")
    assert [item.name for kind in files.values() for item in kind] == ["requests", "pro", "daily"]


def test_tenants_are_no_part_of_a_catalog(plan: PlanCommand, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("tenants: [{key: acme}]")
    assert "use `tollgate apply`" in plan("diff", "-f", str(path), code=1)[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is a mapping"),
        ("a: [", "not YAML"),
        ("plan: []", "unknown: plan"),
        ("plans: {slug: x}", "must be a list"),
        ("plans: [1]", "plans[0]: must be a mapping"),
        ("plans: [{name: x}]", "plans[0].slug: missing"),
    ],
)
def test_what_is_no_catalog(text: str, message: str) -> None:
    with pytest.raises(BadCatalog, match=message.replace("[", r"\[").replace("]", r"\]")):
        read(text)


def test_a_name_stands_once() -> None:
    with pytest.raises(BadCatalog, match=r"two: plans\[0\]: pro stands at one"):
        merge([read(PLANS, "one"), read(PLANS, "two")])


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match=r"no \.yaml files"):
        read_files(tmp_path)


def test_canonical_bodies_have_one_order_and_nothing_of_the_service() -> None:
    rule = {
        "limit": "1",
        "version": 3,
        "updated_at": "t",
        "slug": "r",
        "action": {"status": 429, "kind": "deny"},
        "release": None,
        "meter": "m",
    }
    assert json.dumps(canonical("rules", rule)) == json.dumps(
        {"slug": "r", "meter": "m", "limit": "1", "action": {"kind": "deny", "status": 429}}
    )


def test_files_say_what_the_document_says(tmp_path: Path) -> None:
    catalog = {
        "meters": [{"slug": "m", "unit": "straße"}],
        "plans": [{"slug": "a", "name": "A"}, {"slug": "b", "until": "2026-01-01T00:00:00Z"}],
    }
    assert [path.name for path in write_folder(catalog, tmp_path)] == [
        "meters.yaml",
        "a.yaml",
        "b.yaml",
    ]
    for found in (read_files(tmp_path), read(write(catalog))):
        said = {
            kind: [{"slug": item.name, **item.body} for item in items]
            for kind, items in found.items()
            if items
        }
        assert said == catalog
