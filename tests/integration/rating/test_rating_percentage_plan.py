"""A plan with a percentage, from the amounts of events to the charge and its explanation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.integration.rating.world import World, charges_of, refused
from tests.support.eventually import eventually

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def payments(rate: str, **more: Any) -> dict[str, Any]:
    return {
        "slug": "payments",
        "meter": "paid",
        "model": "percentage",
        "rate": rate,
        "fixed_amount": "0.5",
    } | more


async def test_a_percentage_of_the_sum_and_a_fixed_amount_an_event(world: World) -> None:
    world.now = NOVEMBER + timedelta(days=1)
    client = await world.start()
    await world.add_meter("paid")
    await world.plan(client, "standard", payments("0.02"))
    await world.tenant(client, "acme")
    await world.subscribe(client, "acme", "standard", OCTOBER)
    day = OCTOBER + timedelta(days=2)
    hours = {day + timedelta(seconds=n): amount for n, amount in ((1, 100), (1800, "50.50"))}
    await world.use("acme", "paid", hours)
    await world.use("acme", "paid", {day: 49, day + timedelta(seconds=40): "0.50"}, shard=1)

    async def rated() -> dict[str, Any]:
        charge = next(iter(await charges_of(client, "acme")), None)
        assert charge is not None
        assert (charge["quantity"], charge["amount"]) == ("200", "6")
        return charge

    charge = await eventually(rated, timeout=20)
    assert charge["evidence"]["events"] == 4
    found = (await client.get(f"/v1/charges/{charge['id']}/explain")).json()
    assert found["steps"][0]["text"] == "4 of 4 events pay: 200 × 0.02 + 4 × 0.5 = 6"
    assert (found["recomputes"], found["exact"]) == (True, "6")
    assert await _then(client, payments("0.03")) == ("6", "8")
    refused(
        await client.put(
            "/v1/plans/bad",
            json={"name": "B", "currency": "USD", "prices": [payments("1", free_events=3)]},
        ),
        422,
        "unsupported_model",
    )


async def _then(client: httpx.AsyncClient, price: dict[str, Any]) -> tuple[str, str]:
    """What a draft with the price would have earned in October: (now, then)."""
    answer = await client.post(
        "/v1/simulations",
        json={
            "replaces": "standard",
            "plan": {"name": "Draft", "currency": "USD", "prices": [price]},
            "from": "2026-10-01T00:00:00Z",
            "to": "2026-11-01T00:00:00Z",
        },
    )
    assert answer.status_code == 200, answer.text
    [outcome] = answer.json()["tenants"]
    return outcome["now"], outcome["then"]
