"""Whether a meter exists: by the catalog topic, and by asking the aggregator when it does not say.

A meter that was made a moment ago may not have come through the topic yet; a rule may follow it
at once, so an unknown one is asked for before it is refused.
"""

from urllib.parse import quote

import httpx

from common.bus.follow import Follower
from common.bus.types import Bus
from common.contracts import wire
from common.contracts.meters import Meter
from common.contracts.topics import METERS
from common.errors import ApiError
from throttler.errors import METERS_UNAVAILABLE, UNKNOWN_METER


class Meters:
    """The meters there are."""

    def __init__(self, bus: Bus, http: httpx.AsyncClient, aggregator_url: str) -> None:
        self._follower = Follower(bus, METERS, lambda data: wire.decode(Meter, data))
        self._http, self._url = http, aggregator_url.rstrip("/")

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        await self._follower.run()

    async def require(self, slug: str) -> None:
        """Raise `ApiError` unless the meter exists: unknown_meter, or meters_unavailable when
        nobody can say."""
        if slug in self._follower.items:
            return
        try:
            answer = await self._http.get(f"{self._url}/v1/meters/{quote(slug, safe='')}")
        except httpx.HTTPError as error:
            raise ApiError(
                METERS_UNAVAILABLE, f"the aggregator does not answer: {type(error).__name__}"
            ) from None
        if answer.status_code == httpx.codes.OK:
            return
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ApiError(
                UNKNOWN_METER,
                f"there is no meter {slug}",
                errors=[{"path": "body.meter", "message": f"there is no meter {slug}"}],
            )
        raise ApiError(
            METERS_UNAVAILABLE, f"the aggregator answered {answer.status_code} about meter {slug}"
        )
