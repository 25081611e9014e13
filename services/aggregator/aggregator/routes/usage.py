"""Usage queries and the watermark."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from aggregator.query import DECLARED, edges, selection
from aggregator.routes.meters import known_meter
from aggregator.schemas import PartitionView, UsageItem, UsagePage, WatermarkView
from aggregator.store import SCHEMA, positions
from aggregator.store import usage as store
from aggregator.store.usage import Place, Selection
from aggregator.values import plain
from aggregator.windows import Window, runs
from common.aggregates import value_of
from common.auth import scope
from common.contracts.meters import Meter
from common.contracts.topics import EVENTS
from common.errors import INVALID_CURSOR, ApiError
from common.paging import Cursor, Limit, decode_cursor, encode_cursor
from common.stream.watermark import stage_watermark

router = APIRouter(prefix="/v1", tags=["usage"])

Tenants = Annotated[
    list[str] | None, Query(max_length=1000, description="One or more; none means all.")
]
Time = Annotated[str | None, Query(max_length=64, description="RFC 3339.")]
_CONTENT: dict[str, Any] = {"application/json": {}, "text/csv": {}}


@router.get(
    "/usage",
    dependencies=[scope("usage:read")],
    summary="Usage by tenant, window and group",
    response_model=UsagePage,
    responses={200: {"content": _CONTENT}},
    openapi_extra=DECLARED,
)
async def get_usage(
    request: Request,
    meter: Annotated[str, Query(max_length=200)],
    tenant: Tenants = None,
    start: Annotated[Time, Query(alias="from", max_length=64)] = None,
    to: Time = None,
    window: Window = "none",
    group_by: Annotated[str | None, Query(max_length=400, description="Dimensions: a,b")] = None,
    timezone: Annotated[str, Query(max_length=64, description="IANA name.")] = "UTC",
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """Usage in [from, to), summed over what is not asked for. `filter.<dimension>=<value>` keeps
    one value of a dimension. Windows without usage have no item.

    Times are cut down to slots of ten seconds; the first and last window are cut at `from` and
    `to`. With `Accept: text/csv` the page is CSV, and the next one stands in the Link header.
    """
    pool = request.app.state.pool
    known = await known_meter(pool, meter)
    chosen = selection(
        known,
        tenants=tenant or [],
        group_by=group_by,
        parameters=request.query_params.multi_items(),
    )
    windows = edges(window, start, to, timezone, datetime.now(UTC))
    after = _after(cursor, windows, chosen)
    # Read before the usage: what it covers is then certainly in there.
    as_of = await stage_watermark(pool, SCHEMA, EVENTS, request.app.state.partitions)
    rows = await _values(pool, known, chosen, windows, after, limit + 1)
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        place = rows[-1][0]
        following = encode_cursor(
            "usage", windows[place.window - 1].isoformat(), place.tenant, place.group
        )
    items = [_item(place, value, chosen, windows) for place, value in rows]
    if "text/csv" in request.headers.get("accept", ""):
        return _csv(request, chosen, items, following)
    body = UsagePage(
        meter=known.slug,
        unit=known.unit,
        window=window,
        as_of=as_of,
        items=items,
        next=following,
    )
    return JSONResponse(body.model_dump(mode="json", by_alias=True))


@router.get("/watermark", dependencies=[scope("usage:read")], summary="How far usage is complete")
async def get_watermark(request: Request) -> WatermarkView:
    """Everything received before the watermark is in the usage."""
    pool = request.app.state.pool
    return WatermarkView(
        watermark=await stage_watermark(pool, SCHEMA, EVENTS, request.app.state.partitions),
        partitions=[
            PartitionView(
                partition=row["partition"],
                watermark=row["watermark"],
                next_offset=row["next_offset"],
            )
            for row in await positions.progress(pool, EVENTS.name)
        ],
    )


async def _values(
    pool: Any,
    meter: Meter,
    chosen: Selection,
    windows: Sequence[datetime],
    after: Place | None,
    limit: int,
) -> list[tuple[Place, str | None]]:
    if meter.aggregation == "unique_count":
        counts = await store.distinct_members(pool, chosen, windows, after, limit)
        return [(place, str(count)) for place, count in counts]
    values = []
    for place, aggregate in await store.aggregates(
        pool, chosen, windows, runs(windows), after, limit
    ):
        value = value_of(meter.aggregation, aggregate)
        values.append((place, None if value is None else plain(value)))
    return values


def _after(cursor: str | None, windows: Sequence[datetime], chosen: Selection) -> Place | None:
    key = decode_cursor("usage", cursor, tuple[datetime, str, list[str]])
    if key is None:
        return None
    start, tenant, group = key
    if start not in windows or len(group) != len(chosen.dimensions) or "\0" in tenant:
        raise ApiError(INVALID_CURSOR, "the cursor belongs to another query")
    return Place(windows.index(start) + 1, tenant, group)


def _item(
    place: Place, value: str | None, chosen: Selection, windows: Sequence[datetime]
) -> UsageItem:
    return UsageItem(
        tenant=place.tenant,
        from_=windows[place.window - 1],
        to=windows[place.window],
        group=dict(zip(chosen.dimensions, place.group, strict=True)),
        value=value,
    )


def _csv(
    request: Request, chosen: Selection, items: Sequence[UsageItem], following: str | None
) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["tenant", "from", "to", *chosen.dimensions, "value"])
    for item in items:
        times = item.model_dump(mode="json", include={"from_", "to"})
        writer.writerow(
            [item.tenant, times["from_"], times["to"], *item.group.values(), item.value or ""]
        )
    headers = {}
    if following is not None:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        address = f"{request.url.path}?{urlencode([*query, ('cursor', following)])}"
        headers["Link"] = f'<{address}>; rel="next"'
    return Response(text.getvalue(), media_type="text/csv", headers=headers)
