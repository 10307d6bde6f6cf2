from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import clock


def test_now_is_told_in_utc():
    assert clock.now().utcoffset() == timedelta(0)


def test_the_clock_for_spans_never_goes_back():
    first = clock.monotonic_seconds()
    assert clock.monotonic_seconds() >= first


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 3, 1, 15, 59, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), date(2026, 3, 2)),
        (datetime(2025, 12, 31, 16, 0, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
def test_a_day_begins_at_midnight_of_bank_time(instant: datetime, day: date):
    assert clock.bank_date(instant) == day


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)))
def test_noon_of_a_day_falls_on_that_day(day: date):
    noon = clock.bank_noon(day)
    assert clock.bank_date(noon) == day
    assert noon.hour == 12
