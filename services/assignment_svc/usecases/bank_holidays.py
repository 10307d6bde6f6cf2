"""Keeps the days on which the bank works, or does not, against what their weekday says."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import Violation, invalid_field, invalid_fields, not_found
from chassis.sql.audit import AuditEntry, audit
from services.assignment_svc.store import holidays
from services.assignment_svc.store.holidays import BankHoliday

NAME_LENGTH_MAX = 100
_YEAR_MIN, _YEAR_MAX = 1970, 2200
_DAYS_MAX = 366


async def replace_year(
    tx: AsyncConnection, caller: Caller, request_id: str, year: int, days: Sequence[BankHoliday]
) -> list[BankHoliday]:
    """Keeps these days of a year and no others; refuses with every day that is wrong."""
    _check(year, days)
    await holidays.replace_year(tx, year, days)
    told = {"year": str(year), "days": str(len(days))}
    await audit(tx, [AuditEntry(caller.staff_id, caller.branch_id, request_id, "SetBankHolidays", detail=told)])
    return await holidays.page(tx, date(year - 1, 12, 31), date(year, 12, 31), _DAYS_MAX)


async def get(conn: AsyncConnection, day: date) -> BankHoliday:
    """What is kept of a day."""
    found = await holidays.get(conn, day)
    if found is None:
        raise not_found()
    return found


async def page(conn: AsyncConnection, year: int, after: date | None, limit: int) -> list[BankHoliday]:
    """Days by date, of one year unless it is 0, from after one on."""
    if year:
        _check_year(year)
    first = date(year - 1, 12, 31) if year else date.min
    last = date(year, 12, 31) if year else date.max
    return await holidays.page(conn, max(after or first, first), last, limit)


def _check_year(year: int) -> None:
    if not _YEAR_MIN <= year <= _YEAR_MAX:
        raise invalid_field("year", f"must be from {_YEAR_MIN} to {_YEAR_MAX}")


def _check(year: int, days: Sequence[BankHoliday]) -> None:
    _check_year(year)
    times = Counter(one.day for one in days)
    faults: list[Violation] = []
    if len(days) > _DAYS_MAX:
        faults.append(Violation("bank_holidays", f"must have at most {_DAYS_MAX} days"))
    for place, one in enumerate(days):
        field = f"bank_holidays[{place}]"
        if one.day.year != year:
            faults.append(Violation(f"{field}.day_date", f"must be a day of {year}"))
        elif times[one.day] > 1:
            faults.append(Violation(f"{field}.day_date", "must be there once"))
        if not 0 < len(one.display_name) <= NAME_LENGTH_MAX:
            faults.append(Violation(f"{field}.display_name", f"must have from 1 to {NAME_LENGTH_MAX} characters"))
    if faults:
        raise invalid_fields(faults)
