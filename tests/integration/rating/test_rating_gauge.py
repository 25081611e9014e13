"""A plan with a gauge: levels are held across hours, periods and silence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.rating.world import World, amounts, charges_of, put, refused
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
SEPTEMBER, OCTOBER = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
VOLUMES = {
    "slug": "volumes",
    "meter": "stored",
    "model": "time_weighted",
    "unit_amount": "1",
    "per": "month",
}


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """acme holds 100 from 16 September on, and 200 from noon of 16 October on: the middle of each
    month. It is 2 November."""
    world.now = NOVEMBER + timedelta(days=1)
    client = await world.start()
    await world.add_meter("stored", unit="GB", aggregation="latest", group_by={"disk": "disk"})
    await world.plan(client, "standard", VOLUMES)
    await world.tenant(client, "acme")
    await world.subscribe(client, "acme", "standard", SEPTEMBER)
    await world.report("acme", "stored", {SEPTEMBER + timedelta(days=15): 100})
    await world.report("acme", "stored", {OCTOBER + timedelta(days=15.5): 200}, shard=1)
    await charged(client, "50", "150", "0")
    return client


async def charged(client: httpx.AsyncClient, *expected: str) -> None:
    """Wait for the amounts of September and the months after it."""

    async def rated() -> bool:
        found = await amounts(client, "acme")
        assert found == {
            f"volumes 2026-{month:02}-01T00:00": amount
            for month, amount in enumerate(expected, start=9)
        }
        return True

    await eventually(rated, timeout=20)


async def test_a_charge_says_how_long_levels_were_held(client: httpx.AsyncClient) -> None:
    [charge] = [
        one for one in await charges_of(client, "acme") if one["from"] == "2026-10-01T00:00:00Z"
    ]
    assert (charge["quantity"], charge["unit"]) == ("111600", "GB-hours")
    assert charge["evidence"]["levels"] == {
        "unit_seconds": "401760000",
        "until": "2026-11-01T00:00:00Z",
        "slots": 1,
        "groups": 1,
    }
    found = (await client.get(f"/v1/charges/{charge['id']}/explain")).json()
    assert [step["text"] for step in found["steps"]] == [
        "100 × 372 h + 200 × 372 h = 111,600 unit-hours",
        "111,600 unit-hours × 1 ÷ 744 hours of the period = 150",
        "USD: 150, rounded half away from zero to 2 decimals = 150.00",
    ]
    assert (found["recomputes"], found["usage"]["is_current"]) == (True, True)
    opening, raised = found["usage"]["levels"]["held"]
    assert opening == {
        "group": {},
        "level": "100",
        "reported_at": "2026-09-16T00:00:00Z",
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-10-16T12:00:00Z",
        "seconds": "1339200",
        "unit_seconds": "133920000",
        "hours": "372",
        "unit_hours": "37,200",
        "events": "/v1/usage/events?meter=stored&tenant=acme&from=2026-09-16T00%3A00%3A00Z"
        "&to=2026-09-16T00%3A00%3A10Z",
    }
    assert (raised["level"], raised["from"]) == ("200", "2026-10-16T12:00:00Z")


async def explained(client: httpx.AsyncClient, start: datetime, **params: Any) -> dict[str, Any]:
    """How acme's charge for volumes that begins at `start` is explained."""
    [charge] = [
        one
        for one in await charges_of(client, "acme")
        if datetime.fromisoformat(one["from"]) == start
    ]
    answer = await client.get(f"/v1/charges/{charge['id']}/explain", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_levels_are_listed_by_group_and_page(client: httpx.AsyncClient, world: World) -> None:
    """The levels of all pages add up to what the charge has rated; a running period counts to its
    last report."""
    later = NOVEMBER + timedelta(hours=6)
    await world.report("acme", "stored", {NOVEMBER + timedelta(hours=2): 10}, group={"disk": "b"})
    await world.report("acme", "stored", {later: 0}, shard=1)

    async def rated() -> bool:
        found = await explained(client, NOVEMBER)
        assert found["charge"]["evidence"]["levels"]["unit_seconds"] == str(
            (200 * 6 + 10 * 4) * 3600
        )
        return True

    await eventually(rated, timeout=20)
    whole = await explained(client, NOVEMBER)
    assert [step["text"] for step in whole["steps"]][:3] == [
        "200 × 6 h = 1,200 unit-hours",
        "disk=b: 10 × 4 h = 40 unit-hours",
        "All groups: 1,200 + 40 = 1,240 unit-hours",
    ]
    first = await explained(client, NOVEMBER, limit=1)
    assert (
        first["steps"][0]["text"]
        == "All levels held: 4,464,000 unit-seconds ÷ 3,600 = 1,240 unit-hours"
    )
    following = first["usage"]["levels"]["next"]
    second = await explained(client, NOVEMBER, limit=1, levels_cursor=following)
    assert second["usage"]["levels"]["next"] is None
    pages = [one["usage"]["levels"]["held"] for one in (first, second)]
    assert [*pages[0], *pages[1]] == whole["usage"]["levels"]["held"]
    refused(
        await client.get(
            f"/v1/charges/{first['charge']['id']}/explain", params={"levels_cursor": "x"}
        ),
        400,
        "invalid_cursor",
    )


async def test_a_period_is_rated_at_its_end_though_nothing_is_reported(
    client: httpx.AsyncClient, world: World
) -> None:
    world.now = DECEMBER
    await charged(client, "50", "150", "200", "0")
    [one] = (await client.get("/v1/subscriptions", params={"tenant": "acme"})).json()["items"]
    world.now = DECEMBER + timedelta(days=1)
    answer = await client.post(
        f"/v1/subscriptions/{one['id']}/end", json={"at": "2026-12-16T12:00:00Z"}
    )
    assert answer.status_code == 200, answer.text

    async def shortened() -> bool:
        assert (await charges_of(client, "acme"))[-1]["to"] == "2026-12-16T12:00:00Z"
        return True

    await eventually(shortened)
    world.now = DECEMBER + timedelta(days=16)
    await charged(client, "50", "150", "200", "100")


async def test_a_late_report_changes_all_that_follow(
    client: httpx.AsyncClient, world: World
) -> None:
    world.now = DECEMBER
    await charged(client, "50", "150", "200", "0")
    await world.report("acme", "stored", {SEPTEMBER + timedelta(days=15): 10}, group={"disk": "b"})
    await charged(client, "55", "160", "210", "0")


async def test_a_draft_prices_the_same_levels(client: httpx.AsyncClient) -> None:
    draft = {"name": "D", "currency": "USD", "prices": [VOLUMES | {"unit_amount": "2"}]}
    for end in ("2026-11-01", "2026-10-31", "2026-10-10"):
        span = {"from": "2026-10-01T00:00:00Z", "to": f"{end}T00:00:00Z"}
        body: dict[str, Any] = {"replaces": "standard", "plan": draft, **span}
        [outcome] = (await client.post("/v1/simulations", json=body)).json()["tenants"]
        assert (outcome["now"], outcome["then"]) == ("150", "300"), end


async def test_a_meter_that_reports_no_levels(client: httpx.AsyncClient, world: World) -> None:
    await world.add_meter("requests")
    body = {"name": "B", "currency": "USD", "prices": [VOLUMES | {"meter": "requests"}]}

    async def known() -> httpx.Response | None:
        answer = await client.put("/v1/plans/bad", json=body)
        return None if answer.status_code == 503 else answer

    problem = refused(await eventually(known), 422, "unfit_meter")
    assert problem["errors"][0]["path"] == "body.prices[0].meter"


async def test_a_price_is_rated_at_its_own_end_though_nothing_is_reported(
    client: httpx.AsyncClient, world: World
) -> None:
    limited = {**VOLUMES, "until": "2026-11-16T00:00:00Z"}
    await world.plan(client, "limited", limited)
    await world.tenant(client, "brill")
    await world.subscribe(client, "brill", "limited", NOVEMBER)
    await world.report("brill", "stored", {NOVEMBER: 100})

    async def charged_at(now: datetime, amount: str) -> None:
        world.now = now

        async def rated() -> bool:
            found = await charges_of(client, "brill")
            assert [(one["amount"], one["evidence"]["rollup_rows"]) for one in found] == [
                (amount, 1)
            ]
            return True

        await eventually(rated, timeout=20)

    await charged_at(NOVEMBER + timedelta(days=2), "0")
    await charged_at(NOVEMBER + timedelta(days=15), "50")


async def test_a_price_of_a_month_is_not_published_for_a_quarter_but_one_that_was_goes_on(
    client: httpx.AsyncClient, world: World
) -> None:
    body: dict[str, Any] = {"name": "Q", "currency": "USD", "interval": "quarter"}
    monthly, hourly = (body | {"prices": [VOLUMES | {"per": per}]} for per in ("month", "hour"))
    problem = refused(await client.put("/v1/plans/quarterly", json=monthly), 422, "invalid_price")
    assert problem["errors"][0]["path"] == "body.prices[0].per"
    await world.tenant(client, "brill")
    await put(client, "/v1/plans/quarterly", hourly)
    await put(client, "/v1/plans/exact", hourly)
    connection = await asyncpg.connect(world.database.owner_url)
    await connection.execute(
        """
        INSERT INTO rating.plan_versions (plan, version, body, units)
        SELECT plan, 2, jsonb_set(body, '{prices,0,per}', '"month"'), units
          FROM rating.plan_versions
         WHERE plan = 'quarterly';
        UPDATE rating.plans SET version = 2 WHERE slug = 'quarterly'
        """
    )
    await connection.close()

    stored = (await client.get("/v1/plans/quarterly")).json()
    kept = {name: stored[name] for name in ("name", "currency", "interval", "prices")}
    again = await client.put("/v1/plans/quarterly", json=kept)
    assert (again.status_code, again.json()["version"]) == (200, 2)
    plans = {"plans": [{"slug": "quarterly", **kept}]}
    assert (await client.post("/v1/catalog", json=plans)).status_code == 200
    dearer = kept | {"prices": [VOLUMES | {"unit_amount": "2"}]}
    refused(await client.put("/v1/plans/quarterly", json=dearer), 422, "invalid_price")

    old = await world.subscribe(client, "brill", "quarterly", OCTOBER)
    own = {"type": "override", "price": "volumes", "fields": {"unit_amount": "2"}}
    answer = await client.post(f"/v1/subscriptions/{old}/changes", json=own)
    assert answer.status_code == 201, answer.text
    new = await world.subscribe(client, "brill", "exact", OCTOBER)
    own["fields"] = {"per": "month"}
    answer = await client.post(f"/v1/subscriptions/{new}/changes", json=own)
    problem = refused(answer, 422, "invalid_price")
    assert [one["path"] for one in problem["errors"]] == ["body.fields.per"]
