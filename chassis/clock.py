"""The only place that reads a clock. Decisions take time as an argument; stored ones use PostgreSQL's `bank_now()`."""

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

BANK_ZONE = ZoneInfo("Asia/Shanghai")


def now() -> datetime:
    """The current instant, in UTC."""
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Seconds on a clock that never jumps, to measure spans with."""
    return time.monotonic()


def bank_date(instant: datetime) -> date:
    """The day of bank time that an instant falls on."""
    return instant.astimezone(BANK_ZONE).date()


def bank_noon(day: date) -> datetime:
    """12:00 of a day of bank time: the instant given to events whose source tells only a date."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=BANK_ZONE)
