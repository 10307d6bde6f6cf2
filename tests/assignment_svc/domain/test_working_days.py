"""Working days: by halves against day after day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.working_days import add_working_days, is_working_day

DAY = date(2026, 9, 25)  # a Friday
# The week of the national holiday with its two make-up days.
GOLDEN_WEEK = {
    date(2026, 9, 20): True,
    **{date(2026, 10, n): False for n in range(1, 8)},
    date(2026, 10, 10): True,
}


def day_after_day(day: date, count: int, calendar: dict[date, bool]) -> date:
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day, calendar)
    return day


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 9, 25), True),
        (date(2026, 9, 26), False),
        (date(2026, 9, 20), True),
        (date(2026, 10, 1), False),
        (date(2026, 10, 10), True),
        (date(2026, 10, 11), False),
    ],
)
def test_a_day_is_as_its_weekday_says_unless_the_calendar_knows_better(day, works) -> None:
    assert is_working_day(day, GOLDEN_WEEK) is works


@pytest.mark.parametrize(
    ("day", "count", "until"),
    [
        (DAY, 1, date(2026, 9, 28)),
        (DAY, 3, date(2026, 9, 30)),
        (DAY, 4, date(2026, 10, 8)),
        (DAY, 6, date(2026, 10, 10)),
        (DAY, 7, date(2026, 10, 12)),
        (date(2026, 9, 26), 1, date(2026, 9, 28)),
        (date(2026, 10, 1), 1, date(2026, 10, 8)),
    ],
)
def test_holidays_are_left_out_and_make_up_days_count(day: date, count: int, until: date) -> None:
    assert add_working_days(day, count, GOLDEN_WEEK) == until


NEAR = st.dates(DAY - timedelta(days=10), DAY + timedelta(days=150))


@given(
    day=st.dates(DAY - timedelta(days=7), DAY + timedelta(days=14)),
    count=st.integers(1, 60),
    calendar=st.dictionaries(NEAR, st.booleans(), max_size=120),
)
def test_looking_by_halves_finds_what_counting_day_after_day_finds(day, count, calendar) -> None:
    assert add_working_days(day, count, calendar) == day_after_day(day, count, calendar)
