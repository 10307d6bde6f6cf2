from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_svc.domain.calendar import birthdays_within, months_before, years_before

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


def age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@given(st.dates(date(1900, 1, 1), date(2020, 1, 1)), DAYS, st.integers(0, 120))
def test_who_was_born_by_that_day_is_that_old(born: date, day: date, years: int) -> None:
    if born <= day:
        assert (born <= years_before(day, years)) == (age(born, day) >= years)


def test_nobody_is_older_than_the_calendar() -> None:
    assert years_before(date(100, 1, 1), 150) == date(1, 1, 1)


@pytest.mark.parametrize(
    ("day", "days", "expected"),
    [
        (date(2026, 6, 30), 0, [630]),
        (date(2026, 12, 31), 1, [101, 1231]),
        pytest.param(date(2026, 2, 28), 1, [228, 229, 301], id="the leap day's birthday falls on 1 March"),
        pytest.param(date(2028, 2, 28), 1, [228, 229], id="leap year"),
        pytest.param(date(2028, 3, 1), 0, [301], id="the day after the leap day"),
    ],
)
def test_birthdays_within_some_days(day: date, days: int, expected: list[int]) -> None:
    assert birthdays_within(day, days) == expected


@given(DAYS)
def test_everybody_has_a_birthday_within_a_year(day: date) -> None:
    every = {(date(2024, 1, 1) + timedelta(n)) for n in range(366)}
    assert set(birthdays_within(day, 365)) | {229} == {d.month * 100 + d.day for d in every}


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2026, 3, 31), 3, date(2025, 12, 31)),
        (date(2026, 1, 15), 0, date(2026, 1, 15)),
        (date(2028, 3, 31), 1, date(2028, 2, 29)),
        pytest.param(date(1, 2, 3), 14, date(1, 1, 3), id="time begins somewhere"),
    ],
)
def test_months_back_end_with_the_month(day: date, months: int, expected: date) -> None:
    assert months_before(day, months) == expected
