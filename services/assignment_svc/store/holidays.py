"""The bank's calendar: days that are not as their weekday says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.working_days import Calendar

_ALL = text("SELECT day, is_working FROM bank_holiday WHERE day > :day").bindparams(bindparam("day", type_=Date))
_GET = text("SELECT day, is_working, display_name FROM bank_holiday WHERE day = :day").bindparams(
    bindparam("day", type_=Date)
)
_PAGE = text(
    "SELECT day, is_working, display_name FROM bank_holiday WHERE day > :after AND day <= :until"
    " ORDER BY day LIMIT :limit"
).bindparams(bindparam("after", type_=Date), bindparam("until", type_=Date))
# Two who replace the same year do so one after the other.
_ALONE = text("LOCK TABLE bank_holiday IN SHARE ROW EXCLUSIVE MODE")
_FORGET = text("DELETE FROM bank_holiday WHERE day BETWEEN :first AND :last").bindparams(
    bindparam("first", type_=Date), bindparam("last", type_=Date)
)
_ADD = text("INSERT INTO bank_holiday (day, is_working, display_name) VALUES (:day, :is_working, :display_name)")


@dataclass(frozen=True)
class BankHoliday:
    """A day that is not as its weekday says."""

    day: date
    is_working: bool
    display_name: str


async def calendar_after(conn: AsyncConnection, day: date) -> Calendar:
    """What is known of the days after one."""
    return {row.day: row.is_working for row in await conn.execute(_ALL, {"day": day})}


async def get(conn: AsyncConnection, day: date) -> BankHoliday | None:
    """What is known of a day."""
    row = (await conn.execute(_GET, {"day": day})).one_or_none()
    return None if row is None else BankHoliday(*row)


async def page(conn: AsyncConnection, after: date, until: date, limit: int) -> list[BankHoliday]:
    """Days after one and up to another, by date."""
    return [BankHoliday(*row) for row in await conn.execute(_PAGE, {"after": after, "until": until, "limit": limit})]


async def replace_year(tx: AsyncConnection, year: int, holidays: Sequence[BankHoliday]) -> None:
    """Forgets the days of a year and keeps these instead."""
    await tx.execute(_ALONE)
    await tx.execute(_FORGET, {"first": date(year, 1, 1), "last": date(year, 12, 31)})
    if holidays:
        await tx.execute(_ADD, [vars(one) for one in holidays])
