"""Seconds from the arrival of the changed facts of one customer in 100 until ownership has followed, of a million.

All of it is the service's own: the import of the changed rows, and the job's batches. The limit updates the same facts
from a table that is there already, then ranks and inserts the same customers by the bare window query.
"""

import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any

import pyarrow as pa
import uvloop
from sqlalchemy import text

from bench import servers
from bench.allocate_1m import BARE, CUSTOMERS, DAY, NEXT_DAY, go_on, prepare
from bench.results import Result
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.assignment_svc.store import MIGRATIONS, allocation, changed_facts
from services.assignment_svc.store.imports import FACTS_SCHEMA
from services.assignment_svc.usecases.allocate_changed import allocate_some
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.import_rows import FeedImport

ROUNDS = 3
_CHANGED_EVERY = 100

_ADD_BRANCHES = """
INSERT INTO branch (branch_id, display_name)
SELECT 'B' || lpad(n::text, 4, '0'), 'B' FROM generate_series(0, 199) AS n"""
# Customers of every kind, ten who are neighbours: one branch of each has deposits that it had not, or three times more.
_CHANGED = f"""
CREATE TABLE told AS SELECT DISTINCT ON (customer_id) * FROM branch_facts
WHERE substr(customer_id, 2)::bigint / 10 % {_CHANGED_EVERY} = :offset ORDER BY customer_id, branch_id DESC"""
_GROWN = (
    "UPDATE told SET deposit_live = true, deposit_sum_minor = coalesce(deposit_sum_minor, 7000000) * 3,"
    " last_live_date = DATE '2026-06-30'"
)
_BARE_UPDATE = """
UPDATE branch_facts f SET deposit_live = true, deposit_sum_minor = t.deposit_sum_minor, last_live_date = NULL,
  rev = pg_current_xact_id()
FROM told t WHERE f.customer_id = t.customer_id AND f.branch_id = t.branch_id"""
_LIVE = "FROM branch_facts WHERE loan_live OR card_live OR deposit_live"
_OF_TOLD = f"{_LIVE.replace('WHERE', 'WHERE (')}) AND customer_id IN (SELECT customer_id FROM told)"
assert _LIVE in BARE
_BARE_INSERT = BARE.replace(_LIVE, _OF_TOLD)


def measure(customers: int = CUSTOMERS, rounds: int = ROUNDS) -> list[Result]:
    """The median of some rounds, each with other customers."""
    with servers.home() as home, servers.postgres_of(home) as server:
        return uvloop.run(_measure(servers.database(server, "bench_assignment", MIGRATIONS), customers, rounds))


async def _measure(url: str, customers: int, rounds: int) -> list[Result]:
    database = Database(url)
    await prepare(database, customers, DAY)
    async with database.begin() as tx:
        await tx.execute(text(_ADD_BRANCHES))
    await allocate_ownerships(database, DAY, go_on)
    pairs: list[tuple[float, float]] = []
    for offset in range(rounds):
        rows = await _tell(database, offset)
        pairs.append((await _bare(database), await _followed(database, rows)))
    # The night of the same date finds that everybody was decided already.
    async with database.begin() as tx:
        await allocation.set_facts_date(tx, NEXT_DAY)
    night = await allocate_ownerships(database, NEXT_DAY, go_on)
    assert night.counts.customers, night
    assert night.counts.changed_rows == 0, night
    await database.close()
    limit, value = (median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = median(followed / bare for bare, followed in pairs)
    return [Result("allocate_incremental", value, "s", limit, ratio, "≤ 3 s; limit: UPDATE, window query, INSERT")]


async def _tell(database: Database, offset: int) -> pa.Table:
    """What a source would tell of a round's customers, also as the table `told`."""
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS told"))
        await tx.execute(text(_CHANGED), {"offset": offset})
        await tx.execute(text(_GROWN))
        rows: Any = (await tx.execute(text("SELECT * FROM told"))).mappings().all()
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE told"))
    return pa.Table.from_pylist([{name: row[name] for name in FACTS_SCHEMA.names} for row in rows], FACTS_SCHEMA)


async def _bare(database: Database) -> float:
    """Rolled back, so that the service has the same to do."""
    async with database.begin() as tx:
        before = await tx.begin_nested()
        await tx.execute(text("SET LOCAL work_mem = '96MB'"))
        begin = time.perf_counter()
        await tx.execute(text(_BARE_UPDATE))
        await tx.execute(text(_BARE_INSERT), {"day": DAY})
        taken = time.perf_counter() - begin
        await before.rollback()
    return taken


async def _followed(database: Database, rows: pa.Table) -> float:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)

    async def chunks() -> AsyncIterator[bytes]:
        yield sink.getvalue().to_pybytes()

    begin = time.perf_counter()
    counts = await FeedImport(database, Wakeups(None)).run(changed_facts.BRANCH_FACTS_CHANGES, NEXT_DAY, chunks())
    assert counts.updated == rows.num_rows, counts
    looked = changed = 0
    while (batch := await database.repeat(allocate_some)) is not None:
        looked, changed = looked + batch.customers, changed + batch.changed_customers
    assert looked == rows.num_rows, looked
    assert changed > looked * 0.05, changed
    return time.perf_counter() - begin
