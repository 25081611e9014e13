"""GET /v1/charges/{id}/explain: from the amount down to the hours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.rating.world import World, charges_of, fee, per_unit, refused
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


async def explained(client: httpx.AsyncClient, charge: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"/v1/charges/{charge}/explain", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def charge_of(client: httpx.AsyncClient, price: str, amount: str) -> str:
    """The id of acme's charge for `price`, once it has the amount."""

    async def rated() -> str | None:
        for one in await charges_of(client, "acme"):
            if (one["price"], one["amount"]) == (price, amount):
                return str(one["id"])
        return None

    return await eventually(rated, timeout=20)


async def test_a_charge_is_explained_down_to_its_hours(world: World) -> None:
    client = await world.start()
    await world.add_meter("requests")
    await world.tenant(client, "acme")
    conversion = {"divide": "1000", "rounding": "ceiling"}
    await world.plan(
        client, "standard", fee("30"), per_unit("requests", "10.00", conversion=conversion)
    )
    await world.subscribe(client, "acme", "standard", NOVEMBER)
    hours = [NOVEMBER + timedelta(hours=n) for n in range(3)]
    for hour, amount in zip(hours, (500, 500, 400), strict=True):
        await world.use("acme", "requests", {hour: amount})
    charge = await charge_of(client, "requests", "20")

    found = await explained(client, charge, limit=2)

    assert [step["text"] for step in found["steps"]] == [
        "1,400 ÷ 1,000 = 1.4, rounded up to 0 decimals = 2",
        "2 × 10 = 20",
        "USD: 20, rounded half away from zero to 2 decimals = 20.00",
    ]
    assert found["recomputes"]
    assert (found["exact"], found["rounded"], found["residual"]) == ("20", "20.00", "0")
    assert found["meter"]["event_type"] == "t"
    usage = found["usage"]
    assert (usage["quantity"], usage["aggregation"], usage["is_current"]) == ("1400", "sum", True)
    more = await explained(client, charge, limit=2, cursor=usage["next"])
    rows = usage["rows"] + more["usage"]["rows"]
    assert [(row["from"], row["value"]) for row in rows] == [
        ("2026-11-01T00:00:00Z", "500"),
        ("2026-11-01T01:00:00Z", "500"),
        ("2026-11-01T02:00:00Z", "400"),
    ]
    assert more["usage"]["next"] is None
    assert rows[0]["events"].startswith("/v1/usage/events?meter=requests&tenant=acme&from=2026-11")


async def test_a_fee_has_no_usage(world: World) -> None:
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "flat", fee("30"))
    await world.subscribe(client, "acme", "flat", NOVEMBER + timedelta(days=15))
    charge = await charge_of(client, "base", "15")

    found = await explained(client, charge)

    assert (found["meter"], found["usage"]) == (None, None)
    assert [step["text"] for step in found["steps"]] == [
        "Fee: 1 × 30 = 30",
        "1,296,000 of 2,592,000 seconds: 30 × 1,296,000 ÷ 2,592,000 = 15",
        "USD: 15, rounded half away from zero to 2 decimals = 15.00",
    ]


async def test_what_has_no_explanation(world: World) -> None:
    client = await world.start(worker=False)
    refused(await client.get("/v1/charges/nobody/explain"), 404, "unknown_charge")
