"""The catalog as a whole: all plans in one revision, or none of them."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.integration.rating.world import PLAN, TENANT, World, fee, per_unit, put, refused

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def named(slug: str, amount: str = "49.00", **more: Any) -> dict[str, Any]:
    return {"slug": slug, **PLAN, "prices": [fee(amount)]} | more


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    return await world.start()


async def publish(client: httpx.AsyncClient, *plans: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/catalog", json={"plans": list(plans), **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def changes(made: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(one["slug"], one["change"], one["version"]) for one in made["plans"]]


async def test_plans_are_published_together_in_one_revision(client: httpx.AsyncClient) -> None:
    made = await publish(client, named("a"), named("b"), reason="launch", by="mira")
    assert (made["revision"], changes(made)) == (1, [("a", "created", 1), ("b", "created", 1)])
    made = await publish(client, named("a"), named("b", "59"))
    assert (made["revision"], changes(made)) == (2, [("a", "unchanged", 1), ("b", "changed", 2)])
    assert (await publish(client, named("a"), named("b", "59")))["revision"] == 2
    await put(client, "/v1/plans/a", PLAN | {"name": "Other"})
    listed = (await client.get("/v1/catalog/revisions")).json()["items"]
    assert [(one["revision"], one["plans"], one["reason"], one["by"]) for one in listed] == [
        (3, {"a": 2}, "", ""),
        (2, {"b": 2}, "", ""),
        (1, {"a": 1, "b": 1}, "launch", "mira"),
    ]


async def test_each_revision_is_logged_once(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rating"):
        for dry_run in (True, False, False):
            body = {"plans": [named("a"), named("b")], "reason": "launch", "by": "mira"}
            await client.post("/v1/catalog", params={"dry_run": dry_run}, json=body)
        await put(client, "/v1/plans/a", PLAN | {"name": "Other"})
    assert [one.getMessage() for one in caplog.records if one.name.startswith("rating")] == [
        "catalog revision 1 by mira (launch): a 1, b 1",
        "catalog revision 2 by an unnamed caller: a 2",
    ]


async def test_one_bad_plan_and_none_is_published(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/catalog", json={"plans": [named("a"), named("b", "-1")]})
    problem = refused(answer, 422, "invalid_price")
    assert [one["path"] for one in problem["errors"]] == ["body.plans[1].prices[0].amount"]
    assert (await client.get("/v1/plans/a")).status_code == 404


async def test_a_plan_can_be_tried_without_publishing_it(client: httpx.AsyncClient) -> None:
    async def put(amount: str, dry_run: bool) -> httpx.Response:
        body = PLAN | {"prices": [flat(amount) | {"meter": None, "unit_amount": None}]}
        return await client.put("/v1/plans/a", params={"dry_run": dry_run}, json=body)

    def flat(amount: str) -> dict[str, Any]:
        return {"slug": "base", "model": "flat", "amount": amount}

    assert (await put("1", True)).json()["version"] == 1
    assert (await client.get("/v1/plans/a")).status_code == 404
    await put("1", False)
    told = (await put("2", True)).json()
    assert (told["version"], told["prices"]) == (2, [flat("2")])
    assert (await put("1.00", True)).json()["version"] == 1
    refused(await put("-1", True), 422, "invalid_price")
    seen = (await client.get("/v1/plans/a")).json()
    assert (seen["version"], seen["prices"]) == (1, [flat("1")])


async def test_a_dry_run_says_what_would_change_and_who_is_on_what(
    client: httpx.AsyncClient, world: World
) -> None:
    await publish(client, named("a"))
    await put(client, "/v1/tenants/acme", TENANT)
    await world.subscribe(client, "acme", "a", NOVEMBER)
    body = {"plans": [named("a", "59"), named("b")]}
    answer = await client.post("/v1/catalog", params={"dry_run": True}, json=body)
    told = answer.json()
    assert (told["revision"], changes(told)) == (1, [("a", "changed", 2), ("b", "created", 1)])
    assert told["plans"][0]["before"]["prices"][0]["amount"] == "49"
    assert told["plans"][0]["subscribed"] == [
        {"version": 1, "subscriptions": 1, "tenants": 1, "some": ["acme"]}
    ]
    seen = (await client.get("/v1/catalog")).json()
    assert (seen["revision"], seen["versions"]) == (1, {"a": 1})


async def test_a_dry_run_takes_meters_that_are_about_to_be(client: httpx.AsyncClient) -> None:
    plan = named("a", prices=[per_unit("requests", "1")])
    body = {"plans": [plan], "meters": {"requests": "request"}}
    answer = await client.post("/v1/catalog", params={"dry_run": True}, json=body)
    assert answer.status_code == 200, answer.text


async def test_a_catalog_that_moved_on_is_not_overwritten(client: httpx.AsyncClient) -> None:
    await publish(client, named("a"))
    await publish(client, named("a", "59"), revision=1)
    body = {"plans": [named("a", "69")], "revision": 1}
    refused(await client.post("/v1/catalog", json=body), 409, "catalog_changed")
    # An answer that was lost is asked for again: it is as it was wanted.
    assert (await publish(client, named("a", "59"), revision=1))["revision"] == 2


async def test_of_two_at_once_one_is_told_that_the_catalog_moved(
    client: httpx.AsyncClient,
) -> None:
    await publish(client, named("a"))
    bodies = [{"plans": [named("a", amount)], "revision": 1} for amount in ("59", "69")]
    answers = await asyncio.gather(*(client.post("/v1/catalog", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_what_is_exported_says_the_same_elsewhere(client: httpx.AsyncClient) -> None:
    await publish(
        client,
        named("a", one_offs=[{"slug": "setup", "amount": "1.50"}], interval={"weeks": 2}),
        named("b", "49.000", currencies={"EUR": {"base": {"amount": "45.0"}}}),
    )
    exported = (await client.get("/v1/catalog")).json()["plans"]
    made = await publish(client, *exported)
    assert [one["change"] for one in made["plans"]] == ["unchanged", "unchanged"]
    renamed = [{**one, "slug": f"copy-{one['slug']}"} for one in exported]
    await publish(client, *renamed)
    again = (await client.get("/v1/catalog")).json()["plans"]
    copies = {one["slug"].removeprefix("copy-"): one for one in again}
    assert [{**copies[one["slug"]], "slug": one["slug"]} for one in exported] == exported


async def test_a_slug_stands_once_in_a_catalog(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/catalog", json={"plans": [named("a"), named("a")]})
    problem = refused(answer, 422, "invalid_price")
    assert problem["errors"][0]["path"] == "body.plans[1].slug"


async def test_the_schema_is_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/catalog/schema")).json()["title"] == "Plan"
