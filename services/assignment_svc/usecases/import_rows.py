"""Takes tables of the feed, and keeps count of whose facts are there."""

from collections.abc import AsyncIterator
from datetime import date

from chassis.sql.bulk import BulkCounts, BulkImport
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.store import allocation, org
from services.assignment_svc.store.imports import BRANCH_FACTS, bulk_tables
from services.assignment_svc.usecases.nights import night_past


class FeedImport(BulkImport):
    """The bulk import of the chassis; facts count only when all of them are stored."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        super().__init__(database, bulk_tables())
        self._facts = database
        self._wakeups = wakeups

    async def run(self, header_table: str, business_date: date, chunks: AsyncIterator[bytes]) -> BulkCounts:
        """Stores the rows of one table. Refuses facts of a day before the last one allocated."""
        if header_table != BRANCH_FACTS:
            counts = await super().run(header_table, business_date, chunks)
            await self._wakeups.notify(org.FEED)
            return counts
        async with self._facts.read() as conn:
            so_far = await allocation.progress(conn)
        if so_far.business_date is not None and business_date < so_far.business_date:
            raise night_past(so_far.business_date)
        counts = await super().run(header_table, business_date, chunks)
        async with self._facts.begin() as tx:
            await allocation.set_facts_date(tx, business_date)
        return counts
