"""Working days: Monday to Friday, but for what the bank's calendar says of single days (调休)."""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, timedelta

_MONDAY_TO_FRIDAY = 5
_WEEK = 7
_COUNT_MAX = 1_000

Calendar = Mapping[date, bool]
"""Days that may differ from what their weekday says: True for one on which the bank works."""


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Says whether the bank works on a day."""
    return calendar.get(day, _is_weekday(day))


def add_working_days(day: date, count: int, calendar: Calendar) -> date:
    """The working day that is the `count`-th after a day; the day itself does not count, and need not be one.

    Looks for it by halves, since the number of working days up to a day only grows with it.
    """
    assert 0 < count <= _COUNT_MAX, "the first working day after a day is the nearest"
    changed = sorted(at.toordinal() for at, works in calendar.items() if at > day and works is not _is_weekday(at))
    steps = [0]
    for ordinal in changed:
        steps.append(steps[-1] + (1 if calendar[date.fromordinal(ordinal)] else -1))

    def counted(distance: int) -> int:
        until = day.toordinal() + distance
        return _weekdays(day, distance) + steps[bisect_right(changed, until)]

    low, high = 1, (count // _MONDAY_TO_FRIDAY + 2) * _WEEK + 2 * _WEEK * len(changed)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if counted(middle) >= count else (middle + 1, high)
    return day + timedelta(days=low)


def _weekdays(day: date, distance: int) -> int:
    """Mondays to Fridays among the `distance` days after a day."""
    weeks, rest = divmod(distance, _WEEK)
    first = day.isoweekday() % _WEEK  # of the day after, counted from Monday as 0
    return weeks * _MONDAY_TO_FRIDAY + sum((first + n) % _WEEK < _MONDAY_TO_FRIDAY for n in range(rest))


def _is_weekday(day: date) -> bool:
    return day.isoweekday() <= _MONDAY_TO_FRIDAY
