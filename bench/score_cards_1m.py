"""Seconds to compute a month's score cards of a million customers, a second time too, against writing as many rows.

The service's own use case, over three million rows of ownership and nine changes of balances for each customer. The
limit knows no days: it sums each customer's balances by branch and writes a row for each into a table like `credit`.
"""

import uvloop
from sqlalchemy import text

from bench import servers
from bench.allocate_1m import CUSTOMERS, DAY, go_on, prepare, timed
from bench.results import Result
from chassis.sql.engine import Database
from services.assignment_svc.store import MIGRATIONS
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.build_score_cards import build_score_cards

_STEPS = """
INSERT INTO balance_step (customer_id, branch_id, from_date, balance_minor)
SELECT 'C' || lpad(n::text, 8, '0'), 'B' || lpad(((n + k * 67) % 200)::text, 4, '0'),
  date '2026-05-01' + (d * 20 + (n + k) % 17)::int, (n * 7919 + k * 104729 + d * 31) % 100000000
FROM generate_series(1, CAST(:customers AS bigint)) AS n, generate_series(0, 2) AS k, generate_series(0, 2) AS d
ORDER BY 1, 2, 3"""
_MONTHS = """
INSERT INTO customer_month
SELECT 'C' || lpad(n::text, 8, '0'), date '2026-06-01', 1, n % 1000 - 500, n % 7 * 100000, n % 5 * 300000, n % 4,
  n % 50 > 0, n % 60 > 0, n % 50 = 0, n % 30 = 0
FROM generate_series(1, CAST(:customers AS bigint)) AS n"""
_IMPORTED = "INSERT INTO score_import VALUES ('balance_steps', :day), ('customer_months', :day)"
# Owners begin with the only night: let them be those of the month before too.
_OWNED = "UPDATE owner SET from_date = '2026-05-15'"
_BARE = """
INSERT INTO bare_credit (customer_id, month_date, branch_id, staff_id, share, deposit_minor)
SELECT o.customer_id, '2026-06-01', o.branch_id, coalesce(o.manager_id, ''), 1, sum(s.balance_minor)
FROM owner o LEFT JOIN balance_step s USING (customer_id, branch_id)
GROUP BY o.customer_id, o.branch_id, o.manager_id"""


def measure(customers: int = CUSTOMERS) -> list[Result]:
    """A night's two months, and the same night again, which writes no credit."""
    with servers.home() as home, servers.postgres_of(home) as server:
        return uvloop.run(_measure(servers.database(server, "bench_assignment", MIGRATIONS), customers))


async def _measure(url: str, customers: int) -> list[Result]:
    database = Database(url)
    await prepare(database, customers, DAY)
    await allocate_ownerships(database, DAY, go_on)
    async with database.begin() as tx:
        for statement in (_STEPS, _MONTHS):
            await tx.execute(text(statement), {"customers": customers})
        await tx.execute(text(_IMPORTED), {"day": DAY})
        await tx.execute(text(_OWNED))
        await tx.execute(text("CREATE TABLE bare_credit (LIKE credit INCLUDING ALL)"))
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE owner, balance_step, customer_month"))
    limit, _ = await timed(_write_bare(database))
    first, report = await timed(build_score_cards(database, DAY, go_on))
    assert report.customers > customers * 1.8, report
    again, second = await timed(build_score_cards(database, DAY, go_on))
    assert second == report, second
    await database.close()
    return [
        Result("score_cards_1m", first, "s", limit, first / limit, "two months; limit: one sum and INSERT"),
        Result("score_cards_1m.unchanged", again, "s", limit, again / limit),
    ]


async def _write_bare(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text("SET LOCAL work_mem = '96MB'"))
        await tx.execute(text(_BARE))
