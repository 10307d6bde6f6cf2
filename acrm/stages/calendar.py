"""Days, months and years around a business date, as plain dates of bank time."""

from calendar import monthrange
from datetime import date, timedelta

MONTHS_PER_YEAR = 12


def month_first(day: date) -> date:
    return day.replace(day=1)


def quarter_first(day: date) -> date:
    return date(day.year, day.month - (day.month - 1) % 3, 1)


def year_first(day: date) -> date:
    return date(day.year, 1, 1)


def month_last(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def days_before(day: date, days: int) -> date:
    return day - timedelta(days=days)


def months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last one if it is shorter."""
    year, month = divmod(day.year * MONTHS_PER_YEAR + day.month - 1 - months, MONTHS_PER_YEAR)
    first = date(year, month + 1, 1)
    return first.replace(day=min(day.day, month_last(first).day))


def years_before(day: date, years: int) -> date:
    return months_before(day, years * MONTHS_PER_YEAR)


def full_months(day: date, count: int) -> list[date]:
    """The first days of the last months that are over at the end of `day`, the latest first."""
    latest = month_first(day) if day == month_last(day) else months_before(month_first(day), 1)
    return [months_before(latest, back) for back in range(count)]
