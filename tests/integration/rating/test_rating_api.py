"""The catalog's API as its users see it."""

from datetime import UTC, date, datetime

import httpx
import pytest

from tests.integration.rating.world import PLAN, TENANT, World, fee, put, refused
from tests.support.eventually import eventually

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    return await world.start()


async def test_a_tenant_is_put_read_and_listed(client: httpx.AsyncClient) -> None:
    body = TENANT | {"email": "billing@acme.test", "address": ["1 Road", "Berlin"]}
    made = await put(client, "/v1/tenants/acme", body)
    assert made == body | {"key": "acme", "vat_id": "", "taxes": []}
    assert await put(client, "/v1/tenants/acme", body) == made
    assert (await client.get("/v1/tenants/acme")).json() == made
    await put(client, "/v1/tenants/zebra", TENANT | {"name": "Zebra"})
    first = (await client.get("/v1/tenants", params={"limit": 1})).json()
    assert [item["key"] for item in first["items"]] == ["acme"]
    rest = (await client.get("/v1/tenants", params={"cursor": first["next"]})).json()
    assert ([item["key"] for item in rest["items"]], rest["next"]) == (["zebra"], None)


async def test_taxes_are_kept_and_published_in_their_plainest_form(
    client: httpx.AsyncClient, world: World
) -> None:
    taxes = [
        {"name": "VAT", "percent": "20.0"},
        {"name": "VAT", "percent": "21", "since": "2027-01-01"},
        {"name": "Levy", "percent": 1, "note": "art. 9"},
    ]
    made = await put(client, "/v1/tenants/acme", TENANT | {"vat_id": "DE1", "taxes": taxes})
    assert made["taxes"] == [
        {"name": "VAT", "percent": "20", "note": "", "since": None},
        {"name": "VAT", "percent": "21", "note": "", "since": "2027-01-01"},
        {"name": "Levy", "percent": "1", "note": "art. 9", "since": None},
    ]
    assert (await client.get("/v1/tenants/acme")).json() == made

    found = await eventually(lambda: world.published_tenant("acme"))
    assert [str(tax.percent) for tax in found.taxes] == ["20", "21", "1"]
    assert found.taxes[1].since == date(2027, 1, 1)
    assert found.vat_id == "DE1"


async def test_taxes_that_make_no_sense_are_refused(client: httpx.AsyncClient) -> None:
    for taxes, path in [
        ([{"name": "VAT", "percent": "100.1"}], "body.taxes.0.percent"),
        ([{"name": "VAT", "percent": "-1"}], "body.taxes.0.percent"),
        ([{"name": "VAT", "percent": "NaN"}], "body.taxes.0.percent"),
        ([{"name": "VAT", "percent": "1.0000001"}], "body.taxes.0.percent"),
        ([{"name": "", "percent": "1"}], "body.taxes.0.name"),
        ([{"name": "VAT", "percent": "1", "rate": "1"}], "body.taxes.0.rate"),
        ([{"name": "VAT", "percent": "1"}] * 2, "body.taxes"),
        ([{"name": str(i), "percent": "1"} for i in range(6)], "body.taxes"),
        ([{"name": "VAT", "percent": "1", "since": "2027-01-32"}], "body.taxes.0.since"),
    ]:
        answer = await client.put("/v1/tenants/acme", json=TENANT | {"taxes": taxes})
        refused(answer, 422, "invalid_request")
        assert [one["path"] for one in answer.json()["errors"]] == [path]
    refused(await client.get("/v1/tenants/acme"), 404, "unknown_tenant")


async def test_a_tenant_is_published_with_its_subscriptions(
    client: httpx.AsyncClient, world: World
) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/plans/flat", PLAN)
    subscription = await world.subscribe(client, "acme", "flat", NOVEMBER)

    async def published() -> bool:
        tenant = await world.published_tenant("acme")
        assert tenant is not None
        assert (tenant.name, tenant.billing_day, tenant.revision) == ("Acme", 15, 2)
        [made] = tenant.subscriptions
        assert (made.id, made.plan, made.plan_version) == (subscription, "flat", 1)
        assert (made.start, made.end, made.cuts) == (NOVEMBER, None, [])
        return True

    await eventually(published)


async def test_a_changed_plan_is_a_new_version_and_an_equal_one_is_not(
    client: httpx.AsyncClient,
) -> None:
    first = await put(client, "/v1/plans/flat", PLAN)
    assert first == {"slug": "flat", "version": 1, "interval": "month", **PLAN}
    same = PLAN | {"prices": [fee("49")], "interval": "month"}
    assert (await put(client, "/v1/plans/flat", same))["version"] == 1
    assert (await put(client, "/v1/plans/flat", PLAN | {"name": "Flatter"}))["version"] == 2
    assert (await client.get("/v1/plans/flat")).json()["name"] == "Flatter"
    assert (await client.get("/v1/plans/flat", params={"version": 1})).json() == first
    listed = (await client.get("/v1/plans")).json()
    assert [(item["slug"], item["version"]) for item in listed["items"]] == [("flat", 2)]


async def test_a_subscription_keeps_its_version(client: httpx.AsyncClient, world: World) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/plans/flat", PLAN)
    subscription = await world.subscribe(client, "acme", "flat", NOVEMBER)
    await put(client, "/v1/plans/flat", PLAN | {"prices": [fee("99")]})
    made = (await client.get(f"/v1/subscriptions/{subscription}")).json()
    assert made["version"] == 1


async def test_an_idempotency_key_creates_once(client: httpx.AsyncClient) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/plans/flat", PLAN)
    body = {"tenant": "acme", "plan": "flat", "start": "2026-11-01T00:00:07Z"}
    headers = {"Idempotency-Key": "k1"}
    first = await client.post("/v1/subscriptions", json=body, headers=headers)
    assert first.status_code == 201
    assert first.json()["start"] == "2026-11-01T00:00:00Z"
    again = await client.post("/v1/subscriptions", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await client.post("/v1/subscriptions", json=body | {"version": 1}, headers=headers)
    refused(other, 422, "idempotency_key_reused")
    listed = (await client.get("/v1/subscriptions", params={"tenant": "acme"})).json()["items"]
    assert listed == [first.json()]


async def test_subscriptions_of_a_plan_may_follow_each_other(
    client: httpx.AsyncClient, world: World
) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/plans/flat", PLAN)
    end = "2026-11-10T00:00:00Z"
    await world.subscribe(client, "acme", "flat", NOVEMBER, end=end)
    await world.subscribe(client, "acme", "flat", datetime(2026, 11, 10, tzinfo=UTC))


async def test_what_decides_periods_and_money_stays_once_a_tenant_has_subscribed(
    client: httpx.AsyncClient, world: World
) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/tenants/acme", TENANT | {"billing_day": 31})
    await put(client, "/v1/plans/flat", PLAN)
    await world.subscribe(client, "acme", "flat", NOVEMBER)
    for change in ({"billing_day": 1}, {"timezone": "UTC"}, {"currency": "EUR"}):
        body = TENANT | {"billing_day": 31} | change
        refused(await client.put("/v1/tenants/acme", json=body), 409, "tenant_in_use")
    await put(client, "/v1/tenants/acme", TENANT | {"billing_day": 31, "name": "Acme Inc"})


async def test_a_subscription_ends_once(client: httpx.AsyncClient, world: World) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/plans/flat", PLAN)
    subscription = await world.subscribe(client, "acme", "flat", NOVEMBER)
    path = f"/v1/subscriptions/{subscription}/end"
    refused(await client.post(path, json={"at": "2026-10-01T00:00:00Z"}), 422, "invalid_request")
    ended = await client.post(path, json={"at": "2026-11-25T00:00:00Z"})
    assert ended.json()["end"] == "2026-11-25T00:00:00Z"
    assert (await client.post(path, json={"at": "2026-11-25T00:00:09Z"})).json() == ended.json()
    refused(await client.post(path, json={"at": "2026-11-26T00:00:00Z"}), 409, "conflict")


async def test_charges_are_paged_in_order(client: httpx.AsyncClient, world: World) -> None:
    await put(client, "/v1/tenants/acme", TENANT)
    await put(client, "/v1/plans/flat", PLAN)
    await world.subscribe(client, "acme", "flat", datetime(2026, 1, 1, tzinfo=UTC))

    async def rated() -> bool:
        items = (await client.get("/v1/charges", params={"tenant": "acme"})).json()["items"]
        return len(items) == 12

    await eventually(rated)
    starts, cursor = [], None
    while True:
        params = {"tenant": "acme", "limit": "5"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/charges", params=params)).json()
        starts += [item["from"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(starts) == 12
    assert starts == sorted(starts)
    only = await client.get(
        "/v1/charges", params={"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
    )
    assert [item["from"] for item in only.json()["items"]] == ["2026-02-14T23:00:00Z"]
    one = only.json()["items"][0]
    assert (await client.get(f"/v1/charges/{one['id']}")).json() == one
    assert (one["amount"], one["lines"][0]["kind"]) == ("49", "flat")
