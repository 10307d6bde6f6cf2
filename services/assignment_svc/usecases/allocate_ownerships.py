"""Allocates the customers whose ownership may have changed, night by night (domain.md 3)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database, begun
from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.store import allocation, gate
from services.assignment_svc.usecases.nights import check_night

# A feed reader waits for the oldest transaction of the server: a batch is at most this many aggregates (design 4.6).
BATCH_CUSTOMERS = 20_000
_WORKERS = 2
_LOCK_ASK_SECONDS = 0.5


@dataclass(frozen=True)
class Report:
    """What a run did."""

    counts: allocation.Counts
    rule_counts: Mapping[str, int]


# Tells how many customers of how many are done; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


async def allocate_ownerships(database: Database, day: date, tell: Progress, *, everybody: bool = False) -> Report:
    """Runs one night; a run that was broken off is simply run again, and changes only what is left.

    One run at a time in the whole system: a second one waits for the first. Refuses to let the night count if the
    session that held the lock did not live to its end.
    """
    async with _only_run(database) as lock:
        async with database.begin() as tx:
            so_far = await check_night(tx, day)
            policy = await allocation.policy_in_force(tx, day)
            seen_rev = await allocation.start_run(tx, day, so_far, policy)
            if everybody:
                await allocation.add_everybody(tx)
        async with database.begin() as tx:
            ranges = await allocation.batches(tx, BATCH_CUSTOMERS)
            total = await allocation.candidate_count(tx)
        run = _Run(database, day, policy, total, tell)
        counts = await run.all_of(ranges)
        async with allocation.outlived(lock) as tx:
            await check_night(tx, day)
            if not run.stopped:
                await allocation.finish_run(tx, day, policy, seen_rev)
        async with database.read() as conn:
            return Report(counts, await allocation.rule_counts(conn))


class _Run:
    """Two workers over the same list of ranges, one transaction a range; the database has a core for each."""

    def __init__(self, database: Database, day: date, policy: Policy, total: int, tell: Progress) -> None:
        self._database = database
        self._day = day
        self._policy = policy
        self._total = total
        self._tell = tell
        self._counts = allocation.Counts()
        self.stopped = False

    async def all_of(self, ranges: list[tuple[str, str]]) -> allocation.Counts:
        """Works off the ranges; if one fails, so does the run, with that one's own error."""
        self.stopped = not await self._tell(0, self._total)
        left = iter([] if self.stopped else ranges)
        workers = [asyncio.create_task(self._work(left)) for _ in range(_WORKERS)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        return self._counts

    async def _work(self, left: Iterator[tuple[str, str]]) -> None:
        for bounds in left:
            async with self._database.begin() as tx:
                await gate.pass_as_night(tx)
                await check_night(tx, self._day)
                counts = await allocation.allocate_batch(tx, bounds, self._day, self._policy)
            self._counts += counts
            if not await self._tell(self._counts.customers, self._total):
                self.stopped = True
            if self.stopped:
                return


@asynccontextmanager
async def _only_run(database: Database) -> AsyncGenerator[AsyncConnection]:
    """Holds the lock of allocation; its session's end frees it, however the process ends. Yields that session.

    Each question is a transaction of its own: PostgreSQL ends sessions that leave one open for a minute.
    """
    async with database.alone() as connection:
        while not await _locked(connection):  # noqa: ASYNC110 - who unlocks may be another process
            await asyncio.sleep(_LOCK_ASK_SECONDS)
        yield connection


async def _locked(connection: AsyncConnection) -> bool:
    async with begun(connection):
        return await allocation.try_lock(connection)
