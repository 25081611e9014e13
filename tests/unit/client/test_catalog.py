"""The catalog as code: what would change, all of it or nothing, and the same bytes back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.client.fake import Answer, Asked, Service
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


def revision_of(plan: PlanCommand, folder: Path) -> str:
    return str(json.loads(plan("diff", "-f", str(folder), "--json")[0])["revision"])


def only(kind: str, folder: Path) -> str:
    """The file of the folder's catalog that holds only one kind."""
    return str(folder / {"meters": "meters.yaml", "rules": "rules/daily.yaml"}[kind])


def test_what_was_reviewed_is_applied(plan: PlanCommand, folder: Path, platform: Platform) -> None:
    out, _ = plan("diff", "-f", str(folder))
    revision = revision_of(plan, folder)
    assert f"revision {revision}: 3 would change" in out
    plan("apply", "-f", str(folder), "--revision", revision)
    assert len(platform.stored) == 3
    # Whose answer was lost asks again: all is as it was wanted.
    plan("apply", "-f", str(folder), "--revision", revision)


@pytest.mark.parametrize("file", ["all", "meters", "rules"])
@pytest.mark.parametrize("stale", ["7", "0-000000000000"])
def test_nothing_is_written_when_the_catalog_moved_on(
    plan: PlanCommand, folder: Path, platform: Platform, file: str, stale: str
) -> None:
    platform.stored["/v1/meters/requests"] = {"slug": "requests", "revision": 1}
    before = dict(platform.stored)
    path = str(folder) if file == "all" else only(file, folder)
    _, err = plan("apply", "-f", path, "--revision", stale, code=1)
    assert err.startswith("error: catalog_changed: the catalog is at 0-")
    assert platform.stored == before


@pytest.mark.parametrize("path", ["/v1/meters/requests", "/v1/rules/daily", "/v1/rules/other"])
def test_a_meter_or_a_rule_that_changed_since_the_review_is_noticed(
    plan: PlanCommand, folder: Path, platform: Platform, path: str
) -> None:
    plan("apply", "-f", str(folder))
    dearer = PLANS.replace("0.01", "0.02")
    (folder / "plans" / "pro.yaml").write_text(dearer, encoding="utf-8")
    reviewed = revision_of(plan, folder)
    numbers = {"version": 2, "revision": 2}
    other = {"slug": path.rpartition("/")[2], "unit": "other", "applies_to": {"all": True}}
    platform.stored[path] = other | numbers
    before = dict(platform.stored)
    assert "catalog_changed" in plan("apply", "-f", str(folder), "--revision", reviewed, code=1)[1]
    assert platform.stored == before
    # The number alone speaks of plans.
    plan("apply", "-f", str(folder), "--revision", reviewed.partition("-")[0])


def test_what_is_no_revision(plan: PlanCommand, folder: Path) -> None:
    for text in ("x", "1-", "-1", "1-xyz"):
        _, err = plan("apply", "-f", str(folder), f"--revision={text}", code=1)
        assert "is not a revision" in err


def test_a_change_during_the_review_is_noticed(
    plan: PlanCommand, folder: Path, platform: Platform, service: Service
) -> None:
    answer = service.answer

    def changing(asked: Asked) -> Answer | None:
        if asked.path == "/v1/rules/daily":
            platform.stored["/v1/meters/x"] = {"slug": "x", "revision": 1}
        return answer(asked)

    service.answer = changing
    assert "catalog_changed" in plan("apply", "-f", str(folder), code=1)[1]
    assert list(platform.stored) == ["/v1/meters/x"]


def test_a_change_between_two_writes_stops_and_tells_what_was_done(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    other = {"slug": "daily", "version": 1, "applies_to": {"all": True}}

    def somebody_puts_the_rule() -> None:
        platform.stored["/v1/rules/daily"] = other

    platform.meanwhile["PUT /v1/rules/daily"] = somebody_puts_the_rule
    _, err = plan("apply", "-f", str(folder), code=1)
    assert "done before it failed: meter requests: created" in err
    assert "done before it failed: plan pro: version 1" in err
    assert "409 rule_changed" in err
    assert platform.stored["/v1/rules/daily"] == other


def test_a_meter_that_somebody_else_defines_meanwhile_stays_as_they_did(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    other = {"slug": "requests", "revision": 1, "unit": "call"}

    def somebody_defines_the_meter() -> None:
        platform.stored["/v1/meters/requests"] = other

    platform.meanwhile["PUT /v1/meters/requests"] = somebody_defines_the_meter
    _, err = plan("apply", "-f", str(folder), code=1)
    assert "409 meter_changed" in err
    assert platform.stored == {"/v1/meters/requests": other}


def test_a_revision_says_who_published_it_and_why(
    plan: PlanCommand, folder: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "mira")
    plan("apply", "-f", str(folder), "--reason", "launch")
    plan("apply", "-f", str(folder), "--by", "CI of shop")
    monkeypatch.setenv("TOLLGATE_BY", "Mira <mira@example.com>")
    plan("apply", "-f", str(folder))
    assert [(one["by"], one["reason"]) for one in platform.published] == [
        ("mira", "launch"),
        ("CI of shop", ""),
        ("Mira <mira@example.com>", ""),
    ]


def test_what_is_unchanged_is_not_written_again(
    plan: PlanCommand, folder: Path, service: Service
) -> None:
    plan("apply", "-f", str(folder))
    service.asked.clear()
    out, _ = plan("apply", "-f", str(folder))
    assert out.count("unchanged") == 3
    written = [one.path for one in service.asked if one.method == "PUT" and not one.query]
    assert written == []


def test_one_problem_anywhere_and_nothing_is_written(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    platform.fixed["PUT /v1/rules/daily"] = (
        422,
        {"code": "invalid", "detail": "no", "errors": [{"path": "body.limit", "message": "too"}]},
    )
    _, err = plan("apply", "-f", str(folder), code=1)
    assert "rules/daily.yaml: rules[0].limit: too" in err
    assert "error: 1 problem; nothing was changed" in err
    assert platform.stored == {}


def test_problems_of_plans_are_told_where_they_stand(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    errors = [{"path": "body.plans[0].prices[0].unit_amount", "message": "is missing"}]
    platform.fixed["POST /v1/catalog"] = (422, {"code": "invalid_price", "errors": errors})
    _, err = plan("diff", "-f", str(folder), code=1)
    assert "plans/pro.yaml: plans[0].prices[0].unit_amount: is missing" in err


def test_a_faulty_plan_does_not_hide_what_the_others_change(
    plan: PlanCommand, folder: Path, platform: Platform, service: Service
) -> None:
    (folder / "plans" / "bad.yaml").write_text(PLANS.replace("slug: pro", "slug: bad"))
    answer = service.answer

    def judging(asked: Asked) -> Answer | None:
        if asked.path == "/v1/catalog" and asked.method == "POST":
            slugs = [one["slug"] for one in asked.json()["plans"]]
            if "bad" in slugs:
                paths = [f"body.plans[{slugs.index('bad')}].{name}" for name in ("name", "x")]
                errors = [{"path": path, "message": "is wrong"} for path in paths]
                return 422, {"code": "invalid_price", "errors": errors}
        return answer(asked)

    service.answer = judging
    out, err = plan("diff", "-f", str(folder), code=1)
    assert "plan pro: created" in out
    assert "plans/bad.yaml: plans[0].name: is wrong" in err
    assert "error: 2 problems; nothing was changed" in err


def test_an_empty_catalog_is_said_to_be_empty(plan: PlanCommand, tmp_path: Path) -> None:
    said = ("", "the catalog is empty: there is nothing to export\n")
    assert plan("export") == said
    # As after a wrong address: what is there is not replaced with nothing.
    (tmp_path / "kept.yaml").write_text(PLANS, encoding="utf-8")
    assert plan("export", "-o", str(tmp_path), "--replace") == said
    assert (tmp_path / "kept.yaml").exists()


def test_an_export_does_not_mix_with_other_files(
    plan: PlanCommand, folder: Path, platform: Platform
) -> None:
    plan("apply", "-f", str(folder))
    old = folder / "old.yml"
    old.write_text(PLANS, encoding="utf-8")
    _, err = plan("export", "-o", str(folder), code=1)
    assert "old.yml: not of this export" in err
    assert (folder / "plans" / "pro.yaml").read_text(encoding="utf-8") == PLANS
    strange = folder / "docker-compose.yaml"
    strange.write_text("services: {}", encoding="utf-8")
    _, err = plan("export", "-o", str(folder), "--replace", code=1)
    assert "docker-compose.yaml: no catalog" in err
    assert old.exists()
    strange.unlink()
    hidden = folder / ".github" / "ci.yml"
    hidden.parent.mkdir()
    hidden.write_text("on: push", encoding="utf-8")
    plan("export", "-o", str(folder), "--replace")
    assert not old.exists()
    assert hidden.exists()
    assert [item.name for item in read_files(folder)["plans"]] == ["pro"]
    _, err = plan("export", "-o", str(folder / "meters.yaml"), code=1)
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["diff", "apply"])
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    plan: PlanCommand, tmp_path: Path, command: str
) -> None:
    absent = tmp_path / "absent.yaml"
    assert plan(command, "-f", str(absent), code=1)[1] == (
        f"error: {absent}: No such file or directory\n"
    )
    (tmp_path / "latin.yaml").write_bytes("plans:\n- {slug: straße}\n".encode("latin-1"))
    for path in (tmp_path, tmp_path / "latin.yaml"):
        _, err = plan(command, "-f", str(path), code=1)
        assert err == f"error: {tmp_path}/latin.yaml: line 2: is not UTF-8\n"


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
        ("a: [", "line 1: not YAML"),
        ("meters:\n- {slug: a, unit: x, 'unit': y}", "line 2: the key 'unit' stands twice"),
        ("plans: []\nplans: []", "line 2: the key 'plans' stands twice"),
        ("plans: [{1: a, '1': b}]", "the key '1' stands twice"),
        (
            "plans: [{slug: a, tiers: [{amount: '1', amount: '2'}]}]",
            "the key 'amount' stands twice",
        ),
        ("plans: [{slug: a, effective_from: 2026-02-30}]", "not YAML: day is out of range"),
        ("plans: " + "[" * 5000, "nested too deep"),
        ("plan: []", "unknown: plan"),
        ("plans: {slug: x}", "must be a list"),
        ("plans: [1]", "plans[0]: must be a mapping"),
        ("plans: [{name: x}]", "plans[0].slug: missing"),
    ],
)
def test_what_is_no_catalog(text: str, message: str) -> None:
    with pytest.raises(BadCatalog, match=message.replace("[", r"\[").replace("]", r"\]")):
        read(text)


def test_what_is_merged_in_may_be_said_again() -> None:
    text = """
plans:
  - &base {slug: a, name: A, currency: EUR}
  - &more {<<: *base, slug: b}
  - {<<: *more, slug: c, name: C}
"""
    said = [{"slug": item.name, **item.body} for item in read(text)["plans"]]
    assert [(one["slug"], one["name"], one["currency"]) for one in said] == [
        ("a", "A", "EUR"),
        ("b", "A", "EUR"),
        ("c", "C", "EUR"),
    ]


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
