"""Whether the rating worker's memory stays flat, however many subscriptions it has rated."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from bench.billing import SMALL_PLAN, let_rate, plan_in_bulk, subscribe_in_bulk, until_rated
from bench.contract import About, Measurement, Repetition
from bench.growth.fill import projection
from bench.site import Ground, Meter, Site

SUBSCRIPTIONS: Mapping[str, int] = {"full": 100_000, "quick": 2_000, "tiny": 40}
SHARES = {"tenth": 0.1, "half": 0.5, "all": 1.0}
"""After which shares of the subscriptions the memory is read."""


class RatingMemory:
    """A fresh process each time, which rates everything once. Judged: what it holds at the end
    beside what it held after half. A tenth more would be about 200 bytes for each subscription of
    the second half, less than a trace of one takes."""

    abouts = tuple(
        About(
            name=f"rating.memory.{name}",
            family="growth",
            unit="charge line",
            what=f"the rating worker alone, all waiting, until {share:.0%} of them are rated",
        )
        for name, share in SHARES.items()
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        tenants = [f"remembered-{n}" for n in range(SUBSCRIPTIONS[site.scale.name])]
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        async with site.ground("memory", ["rating"]) as ground:
            await plan_in_bulk(ground, "remembered", SMALL_PLAN)
            await subscribe_in_bulk(ground, tenants, hour, plan="remembered", waiting=False)
            await projection(await ground.pool("rating"), dict.fromkeys(tenants, 1), hour, hours=1)

            async def measure(_: int) -> Mapping[str, Measurement]:
                await ground.start("rating")
                found, done = {}, 0
                for name, share in SHARES.items():
                    until = int(len(tenants) * share)
                    found[f"rating.memory.{name}"] = await _rate(ground, tenants[done:until])
                    done = until
                await ground.stop()
                return found

            yield measure


async def _rate(ground: Ground, tenants: Sequence[str]) -> Measurement:
    """Two charge lines a subscription."""
    meter = Meter(ground.site)
    await let_rate(ground, tenants)
    await until_rated(ground)
    return Measurement(
        units=2 * len(tenants),
        seconds=meter.seconds(),
        cpu_seconds=meter.cpu_seconds(),
        rss_bytes=meter.rss_bytes(),
    )
