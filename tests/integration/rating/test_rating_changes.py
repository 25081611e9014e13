"""Changes of a subscription through the API: what holds when, and what becomes of the charges."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.rating.world import (
    PLAN,
    TENANT,
    World,
    amounts,
    fee,
    per_unit,
    put,
    refused,
)
from tests.support.eventually import eventually

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
ACME = TENANT | {"timezone": "UTC", "billing_day": 1}


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """In November 2026, with a tenant, two plans in advance and one with seats."""
    client = await world.start()
    await put(client, "/v1/tenants/acme", ACME)
    for slug, amount in (("small", "30"), ("large", "60")):
        price = fee(amount) | {"billed": "advance"}
        await put(client, f"/v1/plans/{slug}", PLAN | {"prices": [price]})
    return client


async def change(
    client: httpx.AsyncClient, subscription: str, body: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """What a change that must succeed answers."""
    answer = await client.post(f"/v1/subscriptions/{subscription}/changes", json=body, **more)
    assert answer.status_code in (200, 201), answer.text
    made: dict[str, Any] = answer.json()
    return made


async def owes(client: httpx.AsyncClient, expected: dict[str, str]) -> None:
    """The charges of acme become these, by price and begin of the period."""

    async def become() -> bool:
        found = await amounts(client, "acme")
        assert found == expected
        return True

    await eventually(become)


async def test_a_plan_changes_at_once_and_the_rest_of_the_old_fee_is_given_back(
    client: httpx.AsyncClient, world: World
) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    await owes(client, {"base 2026-11-01T00:00": "30"})
    asked = {"type": "plan", "plan": "large", "at": "2026-11-16T00:00:00Z", "reason": "grew"}
    seen = await change(client, subscription, asked, params={"preview": True})
    assert (seen["preview"], seen["difference"]) == (True, "15")
    assert [(one["from"][:10], one["before"], one["after"]) for one in seen["charges"]] == [
        ("2026-11-01", "30", "15"),
        ("2026-11-16", "0", "30"),
    ]
    assert len((await history(client, subscription))["items"]) == 1, "a preview changes nothing"

    made = await change(client, subscription, asked | {"by": "mira"})
    assert [(one["plan"], one["from"][:10]) for one in made["segments"]] == [
        ("small", "2026-11-01"),
        ("large", "2026-11-16"),
    ]
    await owes(client, {"base 2026-11-01T00:00": "15", "base 2026-11-16T00:00": "30"})
    recorded = (await history(client, subscription))["items"][-1]
    assert (recorded["by"], recorded["reason"], recorded["revision"]) == ("mira", "grew", 2)

    async def published() -> bool:
        tenant = await world.published_tenant("acme")
        assert tenant is not None
        return [(one.plan, one.end) for one in tenant.subscriptions] == [
            ("small", datetime(2026, 11, 16, tzinfo=UTC)),
            ("large", None),
        ]

    await eventually(published)


async def history(client: httpx.AsyncClient, subscription: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/subscriptions/{subscription}/history")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_change_at_the_end_of_the_period_can_be_taken_back(
    client: httpx.AsyncClient, world: World
) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    later = {"type": "plan", "plan": "large", "at": "period_end"}
    made = await change(client, subscription, later)
    assert made["fact"]["at"] == "2026-12-01T00:00:00Z"
    await owes(client, {"base 2026-11-01T00:00": "30"})
    gone = await change(client, subscription, {"type": "revoke", "revision": 2})
    assert [one["plan"] for one in gone["segments"]] == ["small"]
    world.now = datetime(2026, 12, 1, tzinfo=UTC)
    await owes(client, {"base 2026-11-01T00:00": "30", "base 2026-12-01T00:00": "30"})
    shown = (await history(client, subscription))["items"]
    assert [(one["type"], one["revoked"]) for one in shown] == [
        ("start", False),
        ("plan", True),
        ("revoke", False),
    ]


async def test_a_backdated_change_rates_the_past_again(
    client: httpx.AsyncClient, world: World
) -> None:
    october = datetime(2026, 10, 1, tzinfo=UTC)
    subscription = await world.subscribe(client, "acme", "small", october)
    await owes(client, {"base 2026-10-01T00:00": "30", "base 2026-11-01T00:00": "30"})
    body = {"type": "plan", "plan": "large", "at": "2026-10-01T00:00:00Z"}
    await change(client, subscription, body)
    await owes(client, {"base 2026-10-01T00:00": "60", "base 2026-11-01T00:00": "60"})
    charge = (await client.get("/v1/charges", params={"tenant": "acme"})).json()["items"][0]
    assert (charge["plan"], charge["due"]) == ("large", "2026-10-01T00:00:00Z")


async def test_a_pause_ends_what_is_charged_and_withdraws_what_is_to_come(
    client: httpx.AsyncClient, world: World
) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    await change(client, subscription, {"type": "pause", "at": "2026-11-11T00:00:00Z"})
    await owes(client, {"base 2026-11-01T00:00": "10"})
    await change(client, subscription, {"type": "resume", "at": "2026-11-21T00:00:00Z"})
    world.now = datetime(2026, 11, 25, tzinfo=UTC)
    await owes(client, {"base 2026-11-01T00:00": "10", "base 2026-11-21T00:00": "10"})
    await change(client, subscription, {"type": "revoke", "revision": 2})
    await change(client, subscription, {"type": "revoke", "revision": 3})
    await owes(client, {"base 2026-11-01T00:00": "30"})


async def test_seats_add_ons_coupons_and_own_prices(
    client: httpx.AsyncClient, world: World
) -> None:
    seats = {"slug": "seats", "quantity": "seats", "model": "unit", "unit_amount": "2"}
    backup = {"slug": "backup", "prices": [fee("9", "backup-fee")]}
    await put(client, "/v1/plans/team", PLAN | {"prices": [fee("10"), seats], "add_ons": [backup]})
    quantities = {"seats": "3"}
    subscription = await world.subscribe(client, "acme", "team", NOVEMBER, quantities=quantities)
    start = {"at": "2026-11-01T00:00:00Z"}
    for body in (
        {"type": "quantity", "name": "seats", "quantity": "5"} | start,
        {"type": "add_on", "add_on": "backup"} | start,
        {"type": "override", "price": "base", "fields": {"amount": "8"}} | start,
        {"type": "coupon", "coupon": {"slug": "c", "percent": "50", "of": ["seats"]}} | start,
        {"type": "one_off", "slug": "training", "amount": "70"} | start,
    ):
        await change(client, subscription, body)
    await owes(
        client,
        {
            "base 2026-11-01T00:00": "8",
            "seats 2026-11-01T00:00": "5",
            "backup-fee 2026-11-01T00:00": "9",
            "training~6 2026-11-01T00:00": "70",
        },
    )
    shown = (await client.get(f"/v1/subscriptions/{subscription}")).json()
    assert (shown["quantities"], shown["add_ons"]) == ({"seats": "5"}, ["backup"])


async def test_usage_is_rated_by_the_plan_that_holds_when_it_is_used(
    client: httpx.AsyncClient, world: World
) -> None:
    for meter in ("requests", "bytes"):
        await world.add_meter(meter)
    await world.plan(client, "first", per_unit("requests", "1"))
    await world.plan(client, "second", per_unit("requests", "2"), per_unit("bytes", "3"))
    subscription = await world.subscribe(client, "acme", "first", NOVEMBER)
    body = {"type": "plan", "plan": "second", "at": "2026-11-10T06:30:00Z"}
    await change(client, subscription, body)
    day = datetime(2026, 11, 10, 6, 15, tzinfo=UTC)
    await world.use("acme", "requests", {day: 5, day.replace(minute=45): 7})
    await world.use("acme", "bytes", {day: 100, day.replace(minute=45): 2})
    await owes(
        client,
        {
            "requests 2026-11-01T00:00": "5",
            "requests 2026-11-10T06:30": "14",
            "bytes 2026-11-10T06:30": "6",
        },
    )


async def test_an_idempotency_key_changes_once(client: httpx.AsyncClient, world: World) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    headers = {"Idempotency-Key": "k"}
    body = {"type": "plan", "plan": "large"}
    first = await change(client, subscription, body, headers=headers)
    assert await change(client, subscription, body, headers=headers) == first
    assert len((await history(client, subscription))["items"]) == 2


INVALID = (422, "invalid_request")
TAKEN = (409, "conflict")
BEFORE = "2026-10-01T00:00:00Z"


@pytest.mark.parametrize(
    ("body", "answer", "path"),
    [
        ({"type": "upgrade"}, INVALID, "type"),
        ({"plan": "large"}, INVALID, "type"),
        ({"type": "quantity", "quantity": "1"}, INVALID, "name"),
        ({"type": "plan", "plan": "none"}, (422, "unknown_reference"), "plan"),
        ({"type": "plan", "plan": "small"}, TAKEN, "plan"),
        ({"type": "plan", "plan": "large", "at": BEFORE}, INVALID, "at"),
        ({"type": "quantity", "name": "seats", "quantity": "1"}, INVALID, "name"),
        ({"type": "add_on", "add_on": "backup"}, INVALID, "add_on"),
        ({"type": "override", "price": "x", "fields": {}}, INVALID, "price"),
        ({"type": "resume"}, TAKEN, "at"),
        ({"type": "revoke", "revision": 1}, INVALID, "revision"),
        ({"type": "revoke", "revision": 9}, INVALID, "revision"),
        ({"type": "coupon", "coupon": {"slug": "c"}}, INVALID, "coupon.percent"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_field_and_a_sentence(
    client: httpx.AsyncClient,
    world: World,
    body: dict[str, Any],
    answer: tuple[int, str],
    path: str,
) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    found = await client.post(f"/v1/subscriptions/{subscription}/changes", json=body)
    problem = refused(found, *answer)
    assert [one["path"] for one in problem["errors"]] == [f"body.{path}"]
    assert len((await history(client, subscription))["items"]) == 1


async def test_an_own_price_that_cannot_be_names_the_field(
    client: httpx.AsyncClient, world: World
) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    body = {"type": "override", "price": "base", "fields": {"amount": "-1"}}
    answer = await client.post(f"/v1/subscriptions/{subscription}/changes", json=body)
    problem = refused(answer, 422, "invalid_price")
    assert problem["errors"][0]["path"] == "body.fields.amount"


async def test_a_change_onto_a_plan_that_another_subscription_holds_is_refused(
    client: httpx.AsyncClient, world: World
) -> None:
    one = await world.subscribe(client, "acme", "small", NOVEMBER)
    await world.subscribe(client, "acme", "large", NOVEMBER)
    body = {"type": "plan", "plan": "large"}
    answer = await client.post(f"/v1/subscriptions/{one}/changes", json=body)
    refused(answer, 409, "overlapping_subscription")


async def test_two_changes_at_once_are_both_recorded(
    client: httpx.AsyncClient, world: World
) -> None:
    subscription = await world.subscribe(client, "acme", "small", NOVEMBER)
    await asyncio.gather(
        change(client, subscription, {"type": "one_off", "slug": "a", "amount": "1"}),
        change(client, subscription, {"type": "one_off", "slug": "b", "amount": "2"}),
    )
    revisions = [one["revision"] for one in (await history(client, subscription))["items"]]
    assert revisions == [1, 2, 3]


async def test_a_new_plan_version_is_for_those_who_subscribe_from_its_date_on(
    client: httpx.AsyncClient, world: World
) -> None:
    dearer = PLAN | {"prices": [fee("40")], "effective_from": "2026-11-15T00:00:00Z"}
    assert (await put(client, "/v1/plans/small", dearer))["version"] == 2
    for tenant, day, version in (("acme", 14, 1), ("zebra", 15, 2)):
        await put(client, f"/v1/tenants/{tenant}", ACME)
        start = datetime(2026, 11, day, tzinfo=UTC)
        subscription = await world.subscribe(client, tenant, "small", start)
        made = (await client.get(f"/v1/subscriptions/{subscription}")).json()
        assert made["version"] == version


async def test_a_recorded_fact_never_changes(client: httpx.AsyncClient, world: World) -> None:
    await world.subscribe(client, "acme", "small", NOVEMBER)
    connection = await asyncpg.connect(world.database.owner_url)
    try:
        for statement in (
            "UPDATE rating.subscription_facts SET at = now()",
            "DELETE FROM rating.subscription_facts",
        ):
            with pytest.raises(asyncpg.RaiseError, match="never changes"):
                await connection.execute(statement)
    finally:
        await connection.close()
