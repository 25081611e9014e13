"""Folding events: against a naive oracle; order, batches and repeats."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aggregator.cells import Cell, exact, instant
from aggregator.compile import compile_meters
from aggregator.fold import HOUR_MS, Folded, SeriesKey, Timed, fold, roll_up
from aggregator.meters import define
from aggregator.values import Reason
from common.aggregates import value_of
from common.contracts.events import CloudEvent

NOON_MS = 1_795_435_200_000
DAY_MS = 24 * HOUR_MS


def meters(*aggregations: str, group_by: dict[str, str] | None = None) -> Any:
    return compile_meters(
        define(
            slug=aggregation,
            event_type="request",
            aggregation=aggregation,
            value=None if aggregation == "count" else "value",
            group_by=group_by or {},
            unit="",
        )
        for aggregation in aggregations
    )


def timed(data: Any, *, tenant: str = "acme", at_ms: int = NOON_MS, kind: str = "request") -> Timed:
    return Timed(CloudEvent("edge", "1", kind, tenant, None, data), at_ms, 0, 0)


def values(folded: Folded) -> dict[SeriesKey, dict[int, Any]]:
    """Series to slot to everything that is known of it."""
    return {
        key: {
            slot: (cell.aggregate(), frozenset(cell.members or ())) for slot, cell in slots.items()
        }
        for key, slots in folded.series.items()
    }


def test_events_become_cells_of_ten_seconds() -> None:
    folded = fold(
        meters("sum", group_by={"route": "route"}),
        [
            timed({"value": 1, "route": "/a"}),
            timed({"value": Decimal("0.1"), "route": "/a"}, at_ms=NOON_MS + 9_999),
            timed({"value": 5, "route": "/a"}, at_ms=NOON_MS + 10_000),
            timed({"value": 7}),
        ],
    )
    a, none = SeriesKey("acme", "sum", ("/a",)), SeriesKey("acme", "sum", ("",))
    found = values(folded)
    assert found[a][NOON_MS][0].sum == Decimal("1.1")
    assert found[a][NOON_MS][0].count == 2
    assert found[a][NOON_MS + 10_000][0].sum == 5
    assert found[none][NOON_MS][0].sum == 7


def test_what_a_meter_cannot_read_is_left_out_of_it_and_listed() -> None:
    folded = fold(meters("sum", "count"), [timed({"value": "NaN"}), timed({}), timed({"value": 1})])
    assert [(item.meter, item.reason) for item in folded.unreadable] == [
        ("sum", Reason.not_a_number),
        ("sum", Reason.missing),
    ]
    found = values(folded)
    assert found[SeriesKey("acme", "sum", ())][NOON_MS][0].count == 1
    assert found[SeriesKey("acme", "count", ())][NOON_MS][0].count == 3


def test_a_type_that_nobody_reads_is_counted_as_such() -> None:
    folded = fold(meters("count"), [timed({}, kind="other"), timed({})])
    assert folded.unmetered == 1
    assert not folded.is_empty


def test_sums_stay_exact_far_beyond_pythons_default_precision() -> None:
    tiny, huge = Decimal("1E-18"), Decimal("99999999999999999999")
    folded = fold(meters("sum"), [timed({"value": value}) for value in (huge, tiny, huge, tiny)])
    total = values(folded)[SeriesKey("acme", "sum", ())][NOON_MS][0].sum
    assert total == Decimal("199999999999999999998.000000000000000002")


def test_latest_is_by_time_then_by_value() -> None:
    folded = fold(
        meters("latest"),
        [
            timed({"value": 9}, at_ms=NOON_MS),
            timed({"value": 1}, at_ms=NOON_MS + 5),
            timed({"value": 3}, at_ms=NOON_MS + 5),
            timed({"value": 2}, at_ms=NOON_MS + 5),
        ],
    )
    cell = values(folded)[SeriesKey("acme", "latest", ())][NOON_MS][0]
    assert (cell.latest, cell.latest_at) == (3, instant(NOON_MS + 5))


numbers = st.integers(-(10**19), 10**19) | st.decimals(-(10**6), 10**6, places=18)
datas = st.fixed_dictionaries(
    {
        "value": numbers | st.sampled_from(["x", None, True, "7.5", 10**30]),
        "route": st.sampled_from(["/a", "/b", None]),
    }
)
events = st.lists(
    st.builds(
        timed,
        datas,
        tenant=st.sampled_from(["acme", "zeta"]),
        at_ms=st.integers(NOON_MS - DAY_MS, NOON_MS + 30_000),
    ),
    max_size=40,
)
ALL = ("count", "sum", "min", "max", "avg", "latest", "unique_count")
PLAN = meters(*ALL, group_by={"route": "route"})


@given(events, st.randoms(use_true_random=False))
def test_order_does_not_matter(batch: list[Timed], random: Any) -> None:
    shuffled = list(batch)
    random.shuffle(shuffled)
    assert values(fold(PLAN, batch)) == values(fold(PLAN, shuffled))


@given(events, st.integers(0, 40))
def test_parts_are_the_whole(batch: list[Timed], cut: int) -> None:
    parts = fold(PLAN, batch[cut:], into=fold(PLAN, batch[:cut]))
    assert values(parts) == values(fold(PLAN, batch))


@given(events)
def test_the_fold_is_what_a_naive_count_says(batch: list[Timed]) -> None:
    folded = fold(PLAN, batch)
    for key in {SeriesKey(t.event.subject, m, (_route(t),)) for t in batch for m in ALL}:
        mine = [t for t in batch if t.event.subject == key.tenant and _route(t) == key.group[0]]
        expected = _naive(key.meter, mine)
        total = Cell()
        with exact():
            for cell in roll_up(folded.series.get(key, {}), DAY_MS).values():
                total.merge(cell)
        if key.meter == "unique_count":
            members = [c.members or set() for c in folded.series.get(key, {}).values()]
            assert len(set().union(*members)) == expected
        elif key.meter == "avg":
            mean = value_of("avg", total.aggregate())
            if expected is None or mean is None:
                assert mean is expected is None
            else:
                assert abs(Fraction(mean) - expected) <= abs(expected) / 10**36
        else:
            assert value_of(key.meter, total.aggregate()) == expected


@given(events)
def test_hours_and_days_are_the_sums_of_their_slots(batch: list[Timed]) -> None:
    for slots in fold(PLAN, batch).series.values():
        hours = roll_up(slots, HOUR_MS)
        assert sum(cell.count for cell in hours.values()) == sum(c.count for c in slots.values())
        assert {start for start in hours} == {slot - slot % HOUR_MS for slot in slots}
        days = roll_up(slots, DAY_MS)
        through_hours = roll_up(hours, DAY_MS)
        assert {s: c.aggregate() for s, c in days.items()} == {
            s: c.aggregate() for s, c in through_hours.items()
        }


def test_instants_are_exact() -> None:
    assert instant(NOON_MS + 1) == datetime(2026, 11, 23, 12, 0, 0, 1000, tzinfo=UTC)
    assert instant(-1) == datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)


def _route(one: Timed) -> str:
    return one.event.data["route"] or ""


def _naive(aggregation: str, batch: Iterable[Timed]) -> Any:
    """The value of `aggregation` by the book, with fractions."""
    readable = [(t.at_ms, _fraction(t.event.data["value"])) for t in batch]
    if aggregation == "count":
        return len(readable)
    found = [(at, value) for at, value in readable if value is not None]
    if aggregation == "unique_count":
        raw = [t.event.data["value"] for t in batch]
        return len({_text(v) for v in raw if v is not None and v is not True and v != 10**30})
    plain = [value for _, value in found]
    match aggregation:
        case "sum":
            return sum(plain)
        case "avg":
            return sum(plain) / Fraction(len(plain)) if plain else None
        case "min":
            return min(plain, default=None)
        case "max":
            return max(plain, default=None)
        case _:
            return max(found)[1] if found else None


def _fraction(value: Any) -> Fraction | None:
    if value in ("x", None, 10**30) or value is True:
        return None
    return Fraction(value)


def _text(value: Any) -> Any:
    return "x" if value == "x" else Fraction(value)
