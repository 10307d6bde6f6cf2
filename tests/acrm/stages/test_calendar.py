from datetime import date

import pytest

from acrm.stages import calendar


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [
        (date(2026, 6, 30), 12, date(2025, 6, 30)),
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2024, 2, 29), 12, date(2023, 2, 28)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
        (date(2026, 1, 15), 13, date(2024, 12, 15)),
    ],
)
def test_the_same_day_of_an_earlier_month_or_its_last(day, months, before):
    assert calendar.months_before(day, months) == before


@pytest.mark.parametrize(
    ("day", "first"),
    [
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2026, 3, 31), date(2026, 1, 1)),
        (date(2026, 4, 1), date(2026, 4, 1)),
        (date(2026, 12, 31), date(2026, 10, 1)),
    ],
)
def test_a_quarter_begins_with_its_first_month(day, first):
    assert calendar.quarter_first(day) == first


def test_a_month_is_full_at_the_end_of_its_last_day():
    assert calendar.full_months(date(2026, 2, 28), 3) == [date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1)]
    assert calendar.full_months(date(2026, 2, 27), 2) == [date(2026, 1, 1), date(2025, 12, 1)]
