"""A charge explained: what the API answers about how its amount came about."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from common.aggregates import value_of
from common.contracts.charges import Charge
from common.contracts.meters import Meter
from common.events.rfc3339 import instant
from common.money import plain, round_line
from common.periods import SLOT, slot_of
from common.usage import Usage as Used
from common.usage import UsageRow
from rating.equations import number
from rating.exact import EXACT, times
from rating.holding import LevelPage, holding
from rating.parts.usage import Levels
from rating.remade import remake
from rating.schemas import ChargeOut


class StepOut(BaseModel):
    """`text`: an equation that can be checked by hand. `tier`: of the price, from 1."""

    kind: str
    text: str
    tier: int | None


class RowOut(BaseModel):
    """A row of usage: an hour, or a slot of ten seconds where a period begins or ends within the
    hour. `value`: None for a unique_count, whose members are counted over the whole period.
    `events`: where the aggregator lists the events behind it."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    group: dict[str, str]
    shard: int
    version: int
    events_counted: int
    value: str | None
    events: str


class LevelOut(BaseModel):
    """A level that held for [from, to) of the period: `unit_seconds` = level × seconds, both exact;
    `hours` and `unit_hours` are the same for a reader, as in `steps`. It was reported at
    `reported_at`, before the period where it is the one that the period begins with; `events`:
    where the aggregator lists the report."""

    group: dict[str, str]
    level: str
    reported_at: datetime
    from_: datetime = Field(serialization_alias="from")
    to: datetime
    seconds: str
    unit_seconds: str
    hours: str
    unit_hours: str
    events: str


class LevelsOut(BaseModel):
    """What a gauge's quantity is made of: the `unit_seconds` of all in `held`, by group and time,
    ÷ 3,600."""

    held: list[LevelOut]
    next: str | None


class UsageOut(BaseModel):
    """`quantity` was read from `rows`. `is_current`: it is what the usage says by now; otherwise
    more has arrived, and the charge will be rated again."""

    quantity: str
    aggregation: str | None
    is_current: bool
    rows: list[RowOut]
    next: str | None
    levels: LevelsOut | None = Field(None, description="Where the meter is a gauge.")


class ExplainedOut(BaseModel):
    """`recomputes`: what the charge names as its evidence gives its amount again, by `steps`;
    null: the evidence does not say enough, and `why_not` what is missing."""

    charge: ChargeOut
    meter: dict[str, Any] | None = Field(description="Its definition; null for a fee.")
    usage: UsageOut | None
    price: dict[str, Any]
    steps: list[StepOut]
    exact: str
    rounded: str
    residual: str
    recomputes: bool | None
    why_not: str | None


def explain(
    charge: Charge,
    meter: Meter | None,
    now: Used | None,
    rows: Sequence[UsageRow],
    following: str | None,
    held: Levels | None = None,
    levels: LevelPage | None = None,
) -> ExplainedOut:
    """`charge` (not withdrawn) with its steps. `now`: what its meter says by now, `held`: how long
    levels were held, where the charge is of levels; `rows`: a page of what that was read from;
    `following`: the cursor of the next page; `levels`: a page of the levels that were held."""
    remade = remake(charge)
    steps = remade.steps
    if "levels" in charge.evidence:
        steps = [*holding(charge.evidence["levels"], levels), *steps]
    exact = charge.amount if remade.amount is None else remade.amount
    with localcontext(EXACT):
        rounded = round_line(exact, charge.currency)
        residual = exact - rounded
    usage_out = None
    if charge.meter is not None and now is not None:
        usage_out = UsageOut(
            quantity=plain(charge.quantity),
            aggregation=rows[0].aggregation if rows else None,
            is_current=_is_current(charge, now, held),
            rows=[_row(charge, row) for row in rows],
            next=following,
            levels=None if levels is None else _levels(charge, levels),
        )
    return ExplainedOut(
        charge=ChargeOut.of(charge),
        meter=_definition(meter) if meter is not None else None,
        usage=usage_out,
        price=charge.evidence.get("price", {}),
        steps=[StepOut(kind=one.kind, text=one.text, tier=one.tier) for one in steps],
        exact=plain(exact),
        rounded=format(rounded, "f"),
        residual=plain(residual),
        recomputes=None if remade.amount is None else remade.amount == charge.amount,
        why_not=remade.why_not,
    )


def _is_current(charge: Charge, now: Used, held: Levels | None) -> bool:
    """Whether the usage is as the charge saw it. Levels depend on reports before the period too."""
    seen, levels = (charge.evidence.get(name, {}) for name in ("rollup_versions", "levels"))
    if held is not None and Decimal(levels["unit_seconds"]) != held.unit_seconds:
        return False
    return bool(seen == {str(shard): version for shard, version in now.versions.items()})


def _levels(charge: Charge, page: LevelPage) -> LevelsOut:
    with localcontext(EXACT):
        held = [
            LevelOut(
                group=one.group,
                level=plain(one.level),
                reported_at=one.reported_at,
                from_=one.start,
                to=one.end,
                seconds=plain(one.seconds),
                unit_seconds=plain(one.level * one.seconds),
                hours=number(one.hours),
                unit_hours=number(times(one.level, one.hours)),
                events=_events(charge, one.group, slot_of(one.reported_at), SLOT),
            )
            for one in page.held
        ]
    return LevelsOut(held=held, next=page.following)


def _row(charge: Charge, row: UsageRow) -> RowOut:
    is_distinct = row.aggregation == "unique_count"
    value = None if is_distinct else value_of(row.aggregation, row.value)
    return RowOut(
        from_=row.start,
        to=row.end,
        group=row.group,
        shard=row.shard,
        version=row.version,
        events_counted=row.value.count,
        value=None if value is None else plain(value),
        events=_events(charge, row.group, row.start, row.end - row.start),
    )


def _events(charge: Charge, group: dict[str, str], start: datetime, width: timedelta) -> str:
    query = {
        "meter": charge.meter or "",
        "tenant": charge.tenant,
        "from": instant(start),
        "to": instant(start + width),
    } | {f"filter.{name}": value for name, value in group.items()}
    return f"/v1/usage/events?{urlencode(query)}"


def _definition(meter: Meter) -> dict[str, Any]:
    return {
        "slug": meter.slug,
        "event_type": meter.event_type,
        "aggregation": meter.aggregation,
        "value": meter.value,
        "group_by": meter.group_by,
        "unit": meter.unit,
        "revision": meter.revision,
    }
