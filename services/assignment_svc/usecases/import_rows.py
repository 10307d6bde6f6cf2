"""Takes tables of the feed, and keeps count of whose facts are there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkCounts, BulkImport, RowError
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.store import allocation, changed_facts, org
from services.assignment_svc.store.imports import BRANCH_FACTS, bulk_tables
from services.assignment_svc.store.upserts import end_missing_facts, upsert_changed_facts
from services.assignment_svc.usecases.nights import check_changes, night_past


class FeedImport(BulkImport):
    """The bulk import of the chassis; facts are the whole state of a date, and count only when all are there."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        tables = [
            replace(table, start=_withdraw_facts, finish=_complete_facts) if table.name == BRANCH_FACTS else table
            for table in bulk_tables()
        ]
        changes = replace(
            changed_facts.bulk_table(), check=_check_changes, start=_begin_changes, upsert=_upsert_changes
        )
        super().__init__(database, [*tables, changes])
        self._facts = database
        self._wakeups = wakeups

    async def run(
        self, header_table: str, business_date: date, chunks: AsyncIterator[bytes], *, allow_removals: bool = False
    ) -> BulkCounts:
        """Stores the rows of one table. Refuses facts of a day before the last one allocated."""
        if header_table != BRANCH_FACTS:
            counts = await super().run(header_table, business_date, chunks, allow_removals=allow_removals)
            is_changes = header_table == changed_facts.BRANCH_FACTS_CHANGES
            await self._wakeups.notify(changed_facts.WAKE_UP if is_changes else org.FEED)
            return counts
        async with self._facts.read() as conn:
            so_far = await allocation.progress(conn)
        _check_date(business_date, so_far.decided_date)
        return await super().run(header_table, business_date, chunks, allow_removals=allow_removals)


async def _withdraw_facts(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Lets the facts that are there count no more, unless a night has passed the new ones while their rows came."""
    del staging
    _check_date(business_date, (await allocation.withdraw_facts(tx)).decided_date)


async def _complete_facts(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Ends what the new facts tell nothing of, and lets them count: no night sees one without the other."""
    await end_missing_facts(tx, staging, business_date)
    await allocation.set_facts_date(tx, business_date)


async def _check_changes(tx: AsyncConnection, staging: str) -> list[RowError]:
    await changed_facts.leave_merged(tx, staging)
    await changed_facts.leave_moved(tx, staging)
    return await changed_facts.bulk_table().check(tx, staging)


async def _begin_changes(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Lets facts of a day come within it, once the night before has run."""
    del staging
    await changed_facts.lock_day(tx)
    check_changes(await allocation.progress(tx), business_date)
    await changed_facts.begin(tx, business_date)


async def _upsert_changes(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
    """Stores rows as long as no whole facts have begun to come, which know better."""
    so_far = await allocation.hold_progress(tx)
    check_changes(so_far, so_far.changes_date or date.min)
    return await upsert_changed_facts(tx, staging, lower, upper)


def _check_date(business_date: date, last_night: date | None) -> None:
    if last_night is not None and business_date < last_night:
        raise night_past(last_night)
