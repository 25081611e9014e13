"""What subscriptions owe: reads the usage of their billing periods and makes the charges.

The worker, previews and re-ratings all ask here, so that they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from common.contracts.charges import Charge
from common.usage import GroupUsage, Place, Usage
from rating.billing import Billed, Plans, Span, billing_periods, keys_of
from rating.charging import NOTHING, Measured, make_charges, metered
from rating.parts.period import Held
from rating.parts.usage import Levels, Measure
from rating.prices.model import Need
from rating.subscription import Subscription


def remembers(subscription: Subscription, plans: Plans) -> bool:
    """Whether its periods depend on those before, so that only all of them can be rated."""
    return any(plans[key].plan.remembers for key in keys_of(subscription))


class Usages(Protocol):
    """Where usage is read from: `StoredUsage`, or something that asks it."""

    async def usages(self, connection: Any, places: Sequence[Place]) -> list[Usage]: ...

    async def groups(self, connection: Any, places: Sequence[Place]) -> list[list[GroupUsage]]: ...

    async def levels(
        self, connection: Any, places: Sequence[Place], now: datetime
    ) -> list[Levels]: ...


async def assess(
    tx: Any,
    usage: Usages,
    found: Sequence[Subscription],
    plans: Plans,
    spans: Mapping[str, Sequence[Span] | None],
    *,
    now: datetime,
    watermark: datetime | None = None,
) -> list[Charge]:
    """The charges of the billing periods of `found` that have begun by `now`: of those that share
    an instant with a span of theirs (by id), of all where the spans are None. Their version is 0.
    """
    billed = {
        one.id: billing_periods(
            one, plans, by=now, spans=None if remembers(one, plans) else spans[one.id]
        )
        for one in found
    }
    measured = await _measure(tx, usage, found, billed, now)
    made: list[Charge] = []
    for one in found:
        measure = _measure_of(one.tenant, measured)
        made += make_charges(one, billed[one.id], measure, watermark=watermark)
    return made


async def _measure(
    tx: Any,
    usage: Usages,
    found: Sequence[Subscription],
    billed: Mapping[str, Sequence[Billed]],
    now: datetime,
) -> dict[Place, Measured]:
    """The usage that the periods ask for: the quantities in one query, and in one each the groups
    and the levels of those places where a price looks at them."""
    needs: dict[Place, set[Need]] = {}
    for one in found:
        for (meter, (start, end)), asked in metered(billed[one.id]).items():
            needs.setdefault((one.tenant, meter, start, end), set()).update(asked)
    places = list(needs)
    usages = await usage.usages(tx, places)
    grouped = [place for place in places if "group" in needs[place]]
    groups = dict(zip(grouped, await usage.groups(tx, grouped), strict=True)) if grouped else {}
    gauges = [place for place in places if "changes" in needs[place]]
    held = dict(zip(gauges, await usage.levels(tx, gauges, now), strict=True)) if gauges else {}
    return {
        place: Measured(
            used.quantity,
            used.rows,
            used.versions,
            count=used.count,
            groups=tuple((one.group, one.quantity) for one in groups.get(place, ())),
            levels=held.get(place),
        )
        for place, used in zip(places, usages, strict=True)
    }


def _measure_of(tenant: str, measured: Mapping[Place, Measured]) -> Measure:
    def measure(meter: str, held: Held) -> Measured:
        return measured.get((tenant, meter, *held), NOTHING)

    return measure
