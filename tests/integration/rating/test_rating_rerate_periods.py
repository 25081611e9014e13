"""What is rated again: the whole billing periods that begin in the range, on each tenant's clock;
and approval does what the preview said, to the last charge."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from common.db import connect
from tests.integration.rating.test_rating_rerates import RERATE, approve, history, preview
from tests.integration.rating.world import World, charges_of, fee, per_unit, refused
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
USED = [SEPTEMBER + timedelta(days=day, hours=5) for day in range(1, 80, 6)]
NOW = datetime(2026, 11, 20, tzinfo=UTC)
OCTOBER = {"from": "2026-10-01", "to": "2026-11-01"}


def plans(price: str, amount: str) -> dict[str, dict[str, Any]]:
    """The same mistake in plans of all kinds."""
    base = fee(amount) | {"billed": "advance"}
    prices = [base, per_unit("requests", price)]
    setup = [{"slug": "setup", "amount": "99"}]
    pack = {"slug": "pack", "amount": "1000", "price": "80", "every": "once"}
    return {
        "calendar": {"prices": prices, "commitments": [{"slug": "least", "amount": "70"}]},
        "anni": {"prices": prices, "alignment": "anniversary", "one_offs": setup},
        "quarter": {"prices": prices, "interval": "quarter"},
        "weeks": {"prices": prices, "interval": {"weeks": 1}},
        "prepaid": {"prices": prices, "credits": [pack]},
        "days": {"prices": prices, "interval": {"days": 1}, "alignment": "anniversary"},
    }


TENANTS = {
    "berlin": ("calendar", "Europe/Berlin", SEPTEMBER),
    "kiritimati": ("calendar", "Pacific/Kiritimati", SEPTEMBER + timedelta(days=12, hours=3)),
    "honolulu": ("calendar", "Pacific/Honolulu", SEPTEMBER),
    "anna": ("anni", "UTC", SEPTEMBER + timedelta(days=14, hours=10)),
    "quentin": ("quarter", "America/New_York", SEPTEMBER),
    "wanda": ("weeks", "Asia/Kathmandu", SEPTEMBER + timedelta(days=2)),
    "daisy": ("days", "UTC", SEPTEMBER + timedelta(days=50, hours=15)),
    "pru": ("prepaid", "Europe/London", SEPTEMBER),
}


async def publish(client: httpx.AsyncClient, made: dict[str, dict[str, Any]]) -> None:
    for slug, body in made.items():
        wanted = {"name": slug.title(), "currency": "USD"} | body
        answer = await client.put(f"/v1/plans/{slug}", json=wanted)
        assert answer.status_code == 200, answer.text


async def until_rated(world: World) -> None:
    """The worker has nothing left to rate."""
    connection = await connect(world.database.owner_url)
    try:

        async def idle() -> bool:
            marks = "SELECT count(*) FROM rating.dirty_subscriptions"
            return bool(await connection.fetchval(marks) == 0)

        await eventually(idle, timeout=60)
    finally:
        await connection.close()


async def owed(client: httpx.AsyncClient, tenant: str) -> dict[str, str]:
    """The amount of each charge that is not withdrawn."""
    found = await charges_of(client, tenant)
    return {one["id"]: one["amount"] for one in found if not one["withdrawn"]}


async def said(client: httpx.AsyncClient, id: str) -> dict[str, tuple[str | None, str | None]]:
    """The preview's lines: each charge's amount before and after; None where there is none."""
    page = (await client.get(f"/v1/rerates/{id}/lines", params={"limit": 1000})).json()
    assert page["next"] is None
    return {
        line["charge"]: tuple(
            None if one is None or one["withdrawn"] else one["amount"]
            for one in (line["before"], line["after"])
        )
        for line in page["items"]
    }


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """Every tenant used 60 requests every six days since September, at 1 instead of 2."""
    world.now = NOW
    client = await world.start()
    await world.add_meter("requests")
    await world.plan(client, "warm", per_unit("requests", "1"))
    await publish(client, plans("1", "31"))
    for tenant, (plan, zone, start) in TENANTS.items():
        await world.tenant(client, tenant, timezone=zone)
        await world.subscribe(client, tenant, plan, start)
        for at in USED:
            await world.use(tenant, "requests", {at: 60})
    await world.seal(NOW - timedelta(days=1))

    async def all_used() -> bool:
        for tenant, (_, _, start) in TENANTS.items():
            found = await charges_of(client, tenant)
            used = sum(Decimal(one["quantity"]) for one in found if one["price"] == "requests")
            assert used == 60 * sum(at >= start for at in USED)
        return True

    await eventually(all_used, timeout=60)
    await until_rated(world)
    await publish(client, plans("2", "62"))
    return client


@pytest.mark.parametrize("by_day", [True, False], ids=["days", "instants"])
async def test_approval_changes_what_the_preview_names_and_nothing_else(
    client: httpx.AsyncClient, world: World, by_day: bool
) -> None:
    instants = {"from": "2026-09-20T00:00:00Z", "to": "2026-11-05T00:00:00Z"}
    asked = OCTOBER if by_day else instants
    for plan in plans("", ""):
        tenants = [tenant for tenant, (held, *_) in TENANTS.items() if held == plan]
        before = {tenant: await owed(client, tenant) for tenant in tenants}
        made = await preview(client, **asked, plan={"slug": plan, "version": 2})
        lines = await said(client, made["id"])
        assert lines, plan
        assert (await approve(client, made["id"])).status_code == 200
        await until_rated(world)
        changed = {}
        for tenant in tenants:
            after = await owed(client, tenant)
            for id in before[tenant].keys() | after.keys():
                was, is_now = before[tenant].get(id), after.get(id)
                if was != is_now:
                    changed[id] = (was, is_now)
        assert changed == lines, plan
        [totals] = made["summary"]["totals"].values()
        difference = sum(
            (Decimal(new or 0) - Decimal(old or 0) for old, new in lines.values()), Decimal(0)
        )
        assert abs(Decimal(totals["difference"]) - difference) < Decimal("0.1")


async def test_october_is_everybodys_own(client: httpx.AsyncClient) -> None:
    made = await preview(client, **OCTOBER, plan={"slug": "calendar", "version": 2})
    assert (await approve(client, made["id"])).status_code == 200
    corrected = {
        tenant: [fact["at"] for fact in await history(client, tenant) if fact["type"] == "plan"]
        for tenant in ("berlin", "kiritimati", "honolulu")
    }
    assert corrected == {
        "berlin": ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"],
        "kiritimati": ["2026-09-30T10:00:00Z", "2026-10-31T10:00:00Z"],
        "honolulu": ["2026-10-01T10:00:00Z", "2026-11-01T10:00:00Z"],
    }


async def test_no_period_is_cut(client: httpx.AsyncClient, world: World) -> None:
    begins = {one["from"] for one in await charges_of(client, "anna")}
    made = await preview(
        client, **{"from": "2026-10-01", "to": "2026-10-20"}, plan={"slug": "anni", "version": 2}
    )
    assert (await approve(client, made["id"])).status_code == 200
    await until_rated(world)
    assert {one["from"] for one in await charges_of(client, "anna")} == begins


async def test_what_begins_after_the_preview_is_not_applied(
    client: httpx.AsyncClient, world: World
) -> None:
    """The 21st has begun in the far east already."""
    world.now = NOW + timedelta(hours=14)
    asked = {"from": "2026-11-18", "to": "2026-11-21"}
    made = await preview(client, **asked, plan={"slug": "days", "version": 2})
    world.now = NOW + timedelta(hours=16)
    assert (await approve(client, made["id"])).status_code == 200
    facts = [fact["at"] for fact in await history(client, "daisy") if fact["type"] == "plan"]
    assert facts == ["2026-11-18T15:00:00Z", "2026-11-20T15:00:00Z"]


async def test_what_a_plan_remembers_is_in_the_preview(client: httpx.AsyncClient) -> None:
    """Dearer usage in September uses credit up that November had."""
    september = {"from": "2026-09-01", "to": "2026-10-01"}
    made = await preview(client, **september, plan={"slug": "prepaid", "version": 2})
    lines = await said(client, made["id"])
    used = {id.split(":")[2]: amounts for id, amounts in lines.items() if "pack~used" in id}
    assert used == {"20260901T000000Z": ("-300", "-600"), "20261101T000000Z": ("-240", "-100")}


async def test_what_means_nothing_is_refused(client: httpx.AsyncClient) -> None:
    good = RERATE | {"plan": {"slug": "calendar", "version": 2}} | OCTOBER
    for changes, code, path in (
        ({"from": "2026-12-02", "to": "2026-12-03"}, "invalid_request", "body.to"),
        ({"from": "2026-10-02", "to": "2026-10-02"}, "invalid_request", "body.to"),
        ({"from": "2026-10-02", "to": "2026-11-01T00:00:00Z"}, "invalid_request", "body.to"),
        ({"from": "2026-02-30"}, "invalid_request", "body.from"),
        ({"from": "1999-01-01"}, "invalid_request", "body.from"),
        ({"from": "2026-10-02", "to": "2026-10-03"}, "no_periods", None),
        ({"tenants": ["berlin", "nobody"]}, "unknown_reference", "body.tenants.1"),
        (
            {"plan": {"slug": "calendar", "version": 2, "replaces": [1, 7]}},
            "unknown_reference",
            "body.plan.replaces.1",
        ),
    ):
        problem = refused(await client.post("/v1/rerates", json=good | changes), 422, code)
        assert [one["path"] for one in problem.get("errors", [])] == ([path] if path else [])
    assert (await client.get("/v1/rerates")).json()["items"] == []
