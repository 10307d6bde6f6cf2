"""Forgets where visits were, and keeps what was due in months that ended."""

import asyncio
from datetime import date, timedelta

from chassis.sql.engine import Database
from services.assignment_svc.store import visit_duties, visit_policies, visits

_EVERY_SECONDS = 600.0
_BATCH = 2_000
_BRANCHES_AT_A_TIME = 20
_MONTHS = 12


async def keep_visits(database: Database) -> None:
    """Both, every ten minutes; several instances do the same work without harm."""
    while True:
        await keep_month(database)
        await forget_places(database)
        await asyncio.sleep(_EVERY_SECONDS)


async def keep_month(database: Database) -> None:
    """Keeps what was due in the month before this one, some branches at a time, if that is not done yet."""
    async with database.read() as conn:
        _, today = await visits.moment(conn)
        month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        if await visit_duties.is_kept(conn, month):
            return
    last: str | None = ""
    while last is not None:
        async with database.begin() as tx:
            last = await visit_duties.keep_duties(tx, month, last, _BRANCHES_AT_A_TIME)


async def forget_places(database: Database) -> None:
    """Empties the coordinates of visits that are older than the policy keeps them, some at a time."""
    while True:
        async with database.begin() as tx:
            _, today = await visits.moment(tx)
            kept_months = (await visit_policies.in_force(tx, today)).kept_months
            gone = await visits.forget_places(tx, months_before(today, kept_months), _BATCH)
        if gone < _BATCH:
            return


def months_before(day: date, months: int) -> date:
    """The same day so many months before, or the last one of that month."""
    years, month = divmod(day.year * _MONTHS + day.month - 1 - months, _MONTHS)
    first = date(years, month + 1, 1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return min(first + timedelta(days=day.day - 1), last)
