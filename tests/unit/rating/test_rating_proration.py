"""How much of a fee is due for a part of a period, on days that are not like the others too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.proration import Misfit, Proration, hours_between
from rating.rate import Context, Usage, rate
from tests.unit.rating.prices import price


def local(zone: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone))  # type: ignore[misc, arg-type]


def share(zone: str, *dates: tuple[int, ...], granularity: Any = "day") -> Fraction:
    """Of a service and a period between local times."""
    instants = [local(zone, *date) for date in dates]
    return Proration(*instants, time_zone=zone, granularity=granularity).share()


def test_half_a_month() -> None:
    dates = (2026, 1, 1), (2026, 1, 16), (2026, 1, 1), (2026, 2, 1)
    assert share("UTC", *dates) == share("UTC", *dates, granularity="second") == Fraction(15, 31)


def test_a_day_of_23_hours_is_a_day_but_not_24_hours() -> None:
    dates = (2026, 3, 29), (2026, 3, 30), (2026, 3, 1), (2026, 4, 1)
    assert share("Europe/Berlin", *dates) == Fraction(1, 31)
    assert share("Europe/Berlin", *dates, granularity="second") == Fraction(23, 31 * 24 - 1)


def test_a_day_of_25_hours_is_a_day_but_not_24_hours() -> None:
    dates = (2026, 11, 1), (2026, 11, 2), (2026, 11, 1), (2026, 12, 1)
    assert share("America/New_York", *dates) == Fraction(1, 30)
    assert share("America/New_York", *dates, granularity="second") == Fraction(25, 30 * 24 + 1)


def test_the_time_zone_decides_which_day_a_boundary_falls_into() -> None:
    instants = [
        datetime.fromisoformat(at)
        for at in (
            "2026-01-15T23:30:00+00:00",
            "2026-01-31T23:00:00+00:00",
            "2025-12-31T23:00:00+00:00",
            "2026-01-31T23:00:00+00:00",
        )
    ]
    berlin = Proration(*instants, time_zone="Europe/Berlin", granularity="day")
    assert berlin.share() == Fraction(16, 31), "it is the 16th in Berlin"


def test_the_time_zone_decides_how_many_days_a_period_has() -> None:
    begin, end = (datetime(2026, 1, day, 8 + 2 * day, tzinfo=UTC) for day in (1, 2))
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    auckland = Proration(noon, end, begin, end, "Pacific/Auckland", "day")
    assert auckland.units() == (1, 2), "from 23:00 on the 1st to 01:00 on the 3rd"
    assert Proration(noon, end, begin, end, "UTC", "day").units() == (1, 1)


def test_a_whole_period_is_not_said_to_be_a_part() -> None:
    fee, whole = (
        price(model="flat", amount="7"),
        (local("UTC", 2026, 1, 1), local("UTC", 2026, 2, 1)),
    )
    result = rate(fee, Usage(), Context("USD", Proration(*whole, *whole)))
    assert [(line.description, line.quantity) for line in result.lines] == [("Fee", 1)]


def test_a_part_costs_its_share_of_every_step() -> None:
    fee = price(model="flat", amount="100", discount={"percent": "10"}, minimum="93")
    parts = [local("UTC", 2026, 4, day) for day in (1, 4, 1)]
    proration = Proration(*parts, local("UTC", 2026, 5, 1), granularity="day")
    result = rate(fee, Usage(), Context("USD", proration))
    assert [(line.kind, line.description, line.amount) for line in result.lines] == [
        ("flat", "Fee, 3 of 30 days", 10),
        ("discount", "Discount of 10 %, 3 of 30 days", -1),
        ("minimum", "At least 93, 3 of 30 days", Decimal("0.3")),
    ]
    assert [line.quantity for line in result.lines] == [Decimal("0.1"), None, None]
    assert [line.unit_amount for line in result.lines] == [100, None, None]


def test_the_day_of_a_change_belongs_to_what_begins_on_it() -> None:
    whole = (2026, 1, 1), (2026, 2, 1)
    before = share("UTC", (2026, 1, 1), (2026, 1, 10, 15), *whole)
    after = share("UTC", (2026, 1, 10, 15), (2026, 2, 1), *whole)
    assert (before, after) == (Fraction(9, 31), Fraction(22, 31))


def test_a_day_that_the_zone_skipped_is_no_day() -> None:
    whole = (2011, 12, 1), (2012, 1, 1)
    assert share("Pacific/Apia", (2011, 12, 29), (2011, 12, 31), *whole) == Fraction(1, 30)
    assert share("Pacific/Apia", *whole, *whole) == 1


def test_where_the_clock_goes_back_over_midnight_the_day_that_began_stays() -> None:
    zone = "America/St_Johns"  # until 2011, a minute after midnight
    first_midnight = local(zone, 2010, 11, 7)
    in_the_repeated_hour = first_midnight + timedelta(minutes=30)
    assert in_the_repeated_hour.astimezone(UTC).astimezone(ZoneInfo(zone)).day in (6, 7)
    period = local(zone, 2010, 11, 1), local(zone, 2010, 12, 1)
    later = (first_midnight.astimezone(UTC) + timedelta(minutes=30)).astimezone(ZoneInfo(zone))
    assert later.day == 6, "the calendar on the wall went back"
    service = Proration(later, period[1], *period, time_zone=zone, granularity="day")
    assert service.units() == (24, 30)


@given(
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns", "Asia/Kathmandu"]),
    st.lists(st.integers(0, 90 * 86_400), min_size=2, max_size=6, unique=True),
    st.sampled_from(["second", "day"]),
)
def test_parts_add_up_to_the_whole(zone: str, seconds: list[int], granularity: Any) -> None:
    edges = [datetime(2011, 11, 1, tzinfo=UTC) + timedelta(seconds=s) for s in sorted(seconds)]
    whole = edges[0], edges[-1]
    if edges[-1] - edges[0] < timedelta(days=3):
        granularity = "second"
    parts = [Proration(*pair, *whole, zone, granularity).share() for pair in pairwise(edges)]
    assert sum(parts) == 1
    assert all(0 <= part <= 1 for part in parts)


@pytest.mark.parametrize(
    ("days", "field", "said"),
    [
        ((1, 2, 5, 5), "period_to", "must be after period_from"),
        ((1, 2, 5, 4), "period_to", "must be after period_from"),
        ((1, 2, 2, 5), "service_from", "must not be before period_from"),
        ((3, 2, 1, 5), "service_to", "must not be before service_from"),
        ((3, 6, 1, 5), "service_to", "must not be after period_to"),
    ],
)
def test_what_is_no_part_of_a_period_is_refused_by_name(
    days: tuple[int, int, int, int], field: str, said: str
) -> None:
    with pytest.raises(Misfit) as refused:
        Proration(*[datetime(2026, 1, day, tzinfo=UTC) for day in days])
    assert (refused.value.field, str(refused.value)) == (field, said)


def test_a_period_within_a_day_has_no_days_to_count() -> None:
    hours = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (0, 6, 0, 12)]
    assert Proration(*hours).share() == Fraction(1, 2)
    said = "^the period has no midnight to count days by: use second$"
    with pytest.raises(Misfit, match=said) as refused:
        Proration(*hours, granularity="day")
    assert refused.value.field == "granularity"


@pytest.mark.parametrize(
    ("seconds", "granularity", "said"),
    [
        (86_400, "second", "86,400 of 2,678,400 seconds"),
        (0.25, "second", "0.25 of 2,678,400 seconds"),
        (86_400, "day", "1 of 31 days"),
    ],
)
def test_the_share_in_words(seconds: float, granularity: Any, said: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(seconds=seconds)
    period = start, datetime(2026, 2, 1, tzinfo=UTC)
    assert Proration(start, end, *period, granularity=granularity).describe() == said


def test_hours_go_by_the_clock_that_never_changes_and_are_never_below_zero() -> None:
    start, end = local("Europe/Berlin", 2026, 3, 29, 1), local("Europe/Berlin", 2026, 3, 29, 3, 30)
    assert hours_between(start, end) == Decimal("1.5")
    assert hours_between(end, end) == hours_between(end, start) == 0
