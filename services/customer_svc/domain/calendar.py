"""Ages and birthdays at a business date."""

import calendar
from datetime import date, timedelta

_LEAP_DAY = 229


def years_before(day: date, years: int) -> date:
    """The latest day of birth of somebody who is `years` old on `day`.

    Who was born on 29 February grows older on 1 March in years without that day.
    """
    year = max(day.year - years, date.min.year)
    last = calendar.monthrange(year, day.month)[1]
    return date(year, day.month, min(day.day, last))


def months_before(day: date, months: int) -> date:
    """The day so many calendar months before `day`; the last of its month where that is shorter."""
    count = max(day.year * 12 + day.month - 1 - months, 12)
    year, month = divmod(count, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def birthdays_within(day: date, days: int) -> list[int]:
    """The birthdays, as 1231 for 31 December, that fall on `day` or within `days` days after it."""
    found: set[int] = set()
    for offset in range(days + 1):
        current = day + timedelta(days=offset)
        found.add(current.month * 100 + current.day)
        if (current.month, current.day) == (3, 1) and not calendar.isleap(current.year):
            found.add(_LEAP_DAY)
    return sorted(found)
