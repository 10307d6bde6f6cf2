"""Builds groups anew each night, and clears away what nobody reads any more: members, deleted groups, old exports."""

import asyncio
from datetime import date

import structlog

from chassis import clock
from chassis.sql.engine import Database
from services.customer_svc.store import customers, exports, group_members
from services.customer_svc.usecases.build_groups import ReadQuery, Work, build_due
from services.customer_svc.usecases.export_customers import drop_export

log = structlog.get_logger(__name__)

# The tables of a night come one after the other, and the first of them moves the business date.
SETTLE_SECONDS = 600.0
_LOOK_SECONDS = 15.0
_CLEAR_EVERY_SECONDS = 60.0


async def build_nightly(
    database: Database,
    read_query: ReadQuery,
    settle_seconds: float = SETTLE_SECONDS,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Builds the groups marked for it once the business date has moved and settled; to run in one instance at a time.

    Whoever leads next goes on where this one ended: a build has the same id all night.
    """
    seen, seen_at, done = None, 0.0, None
    while True:
        async with database.read() as conn:
            day = await customers.business_day(conn)
        if day != seen:
            seen, seen_at = day, clock.monotonic_seconds()
        if day != done and clock.monotonic_seconds() - seen_at >= settle_seconds:
            built = await build_due(Work(database, _build_id(day), read_query, _go_on), day)
            log.info("groups_built", business_date=day.isoformat(), groups=built)
            done = day
        await asyncio.sleep(look_seconds)


async def clear_away(database: Database) -> None:
    """Once a minute deletes what is over, some rows a commit; to run in one instance at a time."""
    while True:
        await clear_once(database)
        await asyncio.sleep(_CLEAR_EVERY_SECONDS)


async def clear_once(database: Database) -> None:
    """Deletes what is over now."""
    async with database.read() as conn:
        generations = await group_members.generations_over(conn)
        groups = await group_members.groups_expired(conn)
        old = await exports.expired(conn)
    for group_id, generation in generations:
        await _clear(database, group_id, generation)
    for group_id in groups:
        async with database.read() as conn:
            left = await group_members.generations_of(conn, group_id)
        for generation in left:
            await _clear(database, group_id, generation)
        async with database.begin() as tx:
            await group_members.forget_group(tx, group_id)
    for export_id in old:
        await drop_export(database, export_id)


async def _clear(database: Database, group_id: str, generation: int) -> None:
    while True:
        async with database.begin() as tx:
            if await group_members.clear_some(tx, group_id, generation):
                return


async def _go_on(_done: int, _total: int) -> bool:
    return True


def _build_id(day: date) -> str:
    return f"night-{day.isoformat()}"
