"""Which meters exist: by the catalog topic, and by asking the aggregator when it does not say.

A meter that was made a moment ago may not have come through the topic yet, and a plan or a rule
may name it at once; so an unknown one is asked for before it is refused.
"""

from typing import Final
from urllib.parse import quote

import httpx
import msgspec

from common.bus.follow import Follower
from common.bus.types import Bus
from common.contracts import wire
from common.contracts.meters import Meter
from common.contracts.topics import METERS
from common.errors import ApiError, declare

METERS_UNAVAILABLE: Final = declare(
    "meters_unavailable", 503, "Whether the meter exists cannot be found out now; try again."
)


class _Answer(msgspec.Struct):
    slug: str
    event_type: str
    aggregation: str
    value: str | None = None
    group_by: dict[str, str] | None = None
    unit: str = ""
    revision: int = 0


class Meters:
    """The meters there are."""

    def __init__(self, bus: Bus, http: httpx.AsyncClient, aggregator_url: str) -> None:
        self._follower = Follower(bus, METERS, lambda data: wire.decode(Meter, data))
        self._http, self._url = http, aggregator_url.rstrip("/")

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        await self._follower.run()

    @property
    def is_ready(self) -> bool:
        """Whether the topic has been read to where it ended at the start."""
        return self._follower.is_ready

    def definition(self, slug: str) -> Meter | None:
        """The meter as the topic has told it; None while it has not."""
        return self._follower.items.get(slug)

    async def find(self, slug: str) -> Meter | None:
        """The meter, None where there is none. Raises `ApiError` (meters_unavailable) when nobody
        can say."""
        known = self._follower.items.get(slug)
        if known is not None:
            return known
        try:
            answer = await self._http.get(f"{self._url}/v1/meters/{quote(slug, safe='')}")
        except httpx.HTTPError as error:
            raise ApiError(
                METERS_UNAVAILABLE, f"the aggregator does not answer: {type(error).__name__}"
            ) from None
        # A slug that the aggregator calls impossible is not a meter either.
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY):
            return None
        if answer.status_code != httpx.codes.OK:
            raise ApiError(
                METERS_UNAVAILABLE,
                f"the aggregator answered {answer.status_code} about meter {slug}",
            )
        try:
            told = msgspec.json.decode(answer.content, type=_Answer)
        except msgspec.MsgspecError:
            raise ApiError(
                METERS_UNAVAILABLE, f"the aggregator's answer about meter {slug} cannot be read"
            ) from None
        return Meter(
            slug=told.slug,
            event_type=told.event_type,
            aggregation=told.aggregation,
            value=told.value,
            group_by=told.group_by or {},
            unit=told.unit,
            revision=told.revision,
        )
