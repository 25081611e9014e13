"""Usage becomes charges: exactly, soon, and again after a crash."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.integration.rating.world import World, amounts, charges_of, fee, per_unit, text
from tests.support.eventually import eventually

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def test_a_charge_follows_its_usage_in_under_three_seconds(world: World) -> None:
    await world.add_meter("requests")
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "standard", fee("49"), per_unit("requests", "0.002"))
    await world.subscribe(client, "acme", "standard", NOVEMBER)

    async def shows(expected: dict[str, str]) -> bool:
        assert await amounts(client, "acme") == expected
        return True

    await eventually(
        lambda: shows({"base 2026-11-01T00:00": "49", "requests 2026-11-01T00:00": "0"})
    )
    began = time.monotonic()
    await world.use("acme", "requests", {NOON: 1500})
    await eventually(
        lambda: shows({"base 2026-11-01T00:00": "49", "requests 2026-11-01T00:00": "3"})
    )
    assert time.monotonic() - began < 3

    async def emitted() -> bool:
        published = await world.published_charges()
        return {c.price: c.amount for c in published.values()} == {
            "base": Decimal(49),
            "requests": Decimal(3),
        }

    await eventually(emitted)
    [charge] = [c for c in (await world.published_charges()).values() if c.meter]
    assert (charge.unit, charge.quantity, charge.plan_version) == ("request", 1500, 1)
    assert charge.evidence["rollup_versions"] == {"0": 1}
    assert charge.evidence["plan_version"] == 1


async def test_rollups_that_come_twice_late_and_out_of_order_change_nothing(world: World) -> None:
    await world.add_meter("requests")
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "usage", per_unit("requests", "1"))
    await world.subscribe(client, "acme", "usage", NOVEMBER)
    await world.use("acme", "requests", {NOON: 30}, version=30)
    await world.use("acme", "requests", {NOON: 10}, version=10)
    await world.use("acme", "requests", {NOON: 30}, version=30, times=3)
    await world.use("acme", "requests", {NOON: 20}, version=20)
    await world.use("acme", "requests", {NOON: 7}, shard=1)
    await world.use("acme", "requests", {NOON + timedelta(hours=5): 100})

    async def counted() -> bool:
        assert await amounts(client, "acme") == {"requests 2026-11-01T00:00": "137"}
        return True

    await eventually(counted)


async def test_a_subscription_in_the_past_rates_what_is_already_there(world: World) -> None:
    await world.add_meter("requests")
    client = await world.start()
    await world.use("acme", "requests", {datetime(2026, 9, 10, tzinfo=UTC): 5})
    await world.use("acme", "requests", {datetime(2026, 9, 20, 10, tzinfo=UTC): 11})
    await world.use("acme", "requests", {NOON: 3})
    await world.tenant(client, "acme")
    await world.plan(client, "standard", fee("30"), per_unit("requests", "1"))
    await world.subscribe(client, "acme", "standard", datetime(2026, 9, 16, tzinfo=UTC))

    async def rated() -> bool:
        assert await amounts(client, "acme") == {
            "base 2026-09-16T00:00": "15",
            "base 2026-10-01T00:00": "30",
            "base 2026-11-01T00:00": "30",
            "requests 2026-09-16T00:00": "11",
            "requests 2026-10-01T00:00": "0",
            "requests 2026-11-01T00:00": "3",
        }
        return True

    await eventually(rated)


async def test_a_fee_is_charged_when_its_period_begins_without_any_usage(world: World) -> None:
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "flat", fee("30"))
    await world.subscribe(client, "acme", "flat", DECEMBER)

    async def starts(expected: list[str]) -> bool:
        assert [item["from"] for item in await charges_of(client, "acme")] == expected
        return True

    await eventually(lambda: _published(world, "acme"))
    await starts([])
    world.now = DECEMBER
    await eventually(lambda: starts(["2026-12-01T00:00:00Z"]))
    world.now = datetime(2027, 1, 1, tzinfo=UTC)
    await eventually(lambda: starts(["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]))


async def test_charges_close_when_the_watermark_passes_their_period(world: World) -> None:
    await world.add_meter("requests")
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "usage", per_unit("requests", "1"))
    await world.subscribe(client, "acme", "usage", datetime(2026, 10, 1, tzinfo=UTC))
    await world.use("acme", "requests", {NOON: 3})

    async def closed(expected: list[bool]) -> bool:
        published = sorted((await world.published_charges()).values(), key=lambda c: c.period_from)
        assert [charge.closed for charge in published] == expected
        return True

    await eventually(lambda: closed([False, False]))
    await world.seal(NOVEMBER - timedelta(seconds=1))
    await eventually(lambda: world.has_told(NOVEMBER - timedelta(seconds=1)))
    await closed([False, False])
    await world.seal(NOVEMBER)
    await eventually(lambda: world.has_told(NOVEMBER))
    await closed([True, False])

    # Late usage changes a closed charge, which stays closed.
    await world.use("acme", "requests", {datetime(2026, 10, 3, tzinfo=UTC): 8})

    async def late() -> bool:
        published = sorted((await world.published_charges()).values(), key=lambda c: c.period_from)
        assert [(c.quantity, c.closed) for c in published] == [(8, True), (3, False)]
        return True

    await eventually(late)


async def test_bill_now_splits_the_period_to_ten_seconds(world: World) -> None:
    await world.add_meter("requests")
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "standard", fee("30"), per_unit("requests", "1"))
    subscription = await world.subscribe(client, "acme", "standard", NOVEMBER)
    cut = datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)
    await world.use(
        "acme",
        "requests",
        {cut - timedelta(seconds=1): 5, cut: 7, cut + timedelta(minutes=20): 100},
    )
    await world.use("acme", "requests", {NOVEMBER: 1000})
    world.now = cut
    answer = await client.post(
        f"/v1/subscriptions/{subscription}/bill-now", json={"at": "2026-11-20T12:00:03.5Z"}
    )
    assert answer.status_code == 200
    assert answer.json()["at"] == text(cut)

    async def split() -> bool:
        items = {(i["price"], i["from"], i["to"]): i for i in await charges_of(client, "acme")}
        first, rest = ("2026-11-01T00:00:00Z", text(cut)), (text(cut), "2026-12-01T00:00:00Z")
        assert set(items) == {(p, *span) for p in ("base", "requests") for span in (first, rest)}
        assert items["requests", *first]["amount"] == "1005"
        assert items["requests", *rest]["amount"] == "107"
        fees = [Decimal(items["base", *span]["amount"]) for span in (first, rest)]
        assert abs(sum(fees) - 30) < Decimal("1e-17")
        assert round(fees[0], 2) == Decimal("19.50")
        return True

    await eventually(split)
    again = await client.post(
        f"/v1/subscriptions/{subscription}/bill-now", json={"at": "2026-11-20T12:00:03.5Z"}
    )
    assert again.json() == answer.json()


async def test_ending_a_subscription_withdraws_what_lies_behind_the_end(world: World) -> None:
    client = await world.start()
    await world.tenant(client, "acme")
    await world.plan(client, "flat", fee("30"))
    subscription = await world.subscribe(client, "acme", "flat", datetime(2026, 9, 1, tzinfo=UTC))
    await eventually(lambda: _count(world, 3))
    answer = await client.post(
        f"/v1/subscriptions/{subscription}/end", json={"at": "2026-10-16T12:00:07Z"}
    )
    assert answer.json()["end"] == "2026-10-16T12:00:00Z"

    async def ended() -> bool:
        published = sorted((await world.published_charges()).values(), key=lambda c: c.period_from)
        assert [(c.period_to, c.withdrawn) for c in published] == [
            (datetime(2026, 10, 1, tzinfo=UTC), False),
            (datetime(2026, 10, 16, 12, tzinfo=UTC), False),
            (DECEMBER, True),
        ]
        assert [c.amount for c in published] == [30, Decimal(15), 0]
        return True

    await eventually(ended)
    assert len(await charges_of(client, "acme")) == 2
    assert len(await charges_of(client, "acme", withdrawn="true")) == 3
    tenant = await eventually(lambda: _published(world, "acme", ended=True))
    assert tenant.subscriptions[0].end == datetime(2026, 10, 16, 12, tzinfo=UTC)


async def test_periods_follow_the_time_zone_and_an_anchor_on_the_31st(world: World) -> None:
    await world.add_meter("requests")
    client = await world.start()
    await world.tenant(client, "acme", timezone="Pacific/Apia", billing_day=31)
    await world.plan(client, "standard", fee("30"), per_unit("requests", "1"))
    await world.subscribe(client, "acme", "standard", datetime(2026, 8, 30, 11, tzinfo=UTC))
    boundary = datetime(2026, 9, 29, 11, tzinfo=UTC)  # midnight of 30 September in Apia
    await world.use("acme", "requests", {boundary - timedelta(seconds=1): 1})
    await world.use("acme", "requests", {boundary: 20})

    async def rated() -> bool:
        assert await amounts(client, "acme") == {
            "base 2026-08-30T11:00": "30",
            "base 2026-09-29T11:00": "30",
            "base 2026-10-30T11:00": "30",
            "requests 2026-08-30T11:00": "1",
            "requests 2026-09-29T11:00": "20",
            "requests 2026-10-30T11:00": "0",
        }
        return True

    await eventually(rated)


async def _count(world: World, expected: int) -> bool:
    assert len(await world.published_charges()) == expected
    return True


async def _published(world: World, key: str, *, ended: bool = False):  # type: ignore[no-untyped-def]
    tenant = await world.published_tenant(key)
    if tenant is None or not tenant.subscriptions:
        return None
    return tenant if not ended or tenant.subscriptions[0].end else None
