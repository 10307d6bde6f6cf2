"""Seconds to allocate a million customers with three million facts, against the bare window query and its INSERT.

The service's own use case: in batches, with aggregate roots for the feed and the past periods of history. Of seven
rules, with margins, locks and evidence, the limit knows a ranking: it fills the same columns of a table like `owner`.
"""

import time
from collections.abc import Awaitable
from datetime import date
from typing import TypeVar

import uvloop
from sqlalchemy import text

from bench import servers
from bench.results import Result
from chassis.sql.engine import Database
from services.assignment_svc.store import MIGRATIONS, allocation
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships

T = TypeVar("T")

CUSTOMERS = 1_000_000
DAY = date(2026, 6, 30)
NEXT_DAY = date(2026, 7, 1)
# One customer in so many has other facts the next night.
_CHANGED_EVERY = 20

# Three branches for each customer, of 200. Loans, cards and deposits by the digits of his number, so that every rule
# has its customers and one in ten branches has nothing that lives.
_FACTS = """
INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_id, loan_outstanding_minor, loan_first_disburse_date,
  loan_officer_id, loan_end_date, card_live, card_id, card_limit_minor, card_first_open_date, card_manager_id,
  deposit_live, deposit_sum_minor, relation_since_date, last_live_date, customer_state)
SELECT 'C' || lpad(n::text, 8, '0'), 'B' || lpad(((n + k * 67) % 200)::text, 4, '0'),
  loan, CASE WHEN loan THEN 'L' || n || '-' || k END, CASE WHEN loan THEN money END,
  CASE WHEN loan THEN date '2022-01-01' + (n % 1000)::int END, CASE WHEN loan THEN staff END,
  CASE WHEN (n + k) % 50 = 3 THEN date '2026-06-30' - (n % 300)::int END,
  card, CASE WHEN card THEN 'K' || n || '-' || k END, CASE WHEN card THEN money / 10 END,
  CASE WHEN card THEN date '2021-01-01' + (n % 1000)::int END, CASE WHEN card THEN staff END,
  deposit, CASE WHEN deposit THEN money * 3 END, date '2015-01-01' + (n % 3000)::int,
  CASE WHEN NOT (loan OR card OR deposit) THEN date '2026-06-30' - (n % 200)::int END,
  CASE WHEN n % 400 = 7 THEN 'DECEASED' ELSE 'ACTIVE' END
FROM (
  SELECT n, k, (n * 7 + k) % 10 < 2 AS loan, (n * 3 + k) % 10 < 3 AS card, (n + k) % 10 < 7 AS deposit,
    (n * 7919 + k * 104729) % 100000000 AS money,
    'S' || lpad((((n + k * 67) % 200) * 10 + n % 10)::text, 5, '0') AS staff
  FROM generate_series(1, CAST(:customers AS bigint)) AS n, generate_series(0, 2) AS k
) f"""
_STAFF = """
INSERT INTO staff (staff_id, display_name, branch_id, roles)
SELECT 'S' || lpad(s::text, 5, '0'), 'S', 'B' || lpad((s / 10)::text, 4, '0'), ARRAY['MANAGER']
FROM generate_series(0, 1999) AS s"""
_CHANGE = f"""
UPDATE branch_facts SET deposit_sum_minor = deposit_sum_minor * 2, loan_officer_id = NULL, card_manager_id = NULL,
  rev = pg_current_xact_id()
WHERE substr(customer_id, 2)::bigint % {_CHANGED_EVERY} = 0"""
BARE = """
INSERT INTO bare (customer_id, branch_id, side, rule, manager_id, basis, amount_minor, rival_branch_id,
  rival_amount_minor, held_by_margin, since_date, from_date, actor, create_time)
SELECT customer_id, branch_id, CASE WHEN place = 1 THEN 'PRIMARY' ELSE 'SECONDARY' END,
  CASE WHEN place > 1 THEN 'SECONDARY' WHEN loan_live THEN 'LOAN' WHEN card_live THEN 'CARD' ELSE 'DEPOSIT' END,
  coalesce(loan_officer_id, card_manager_id), coalesce(loan_id, card_id), amount,
  CASE WHEN place = 1 THEN second_id ELSE first_id END, CASE WHEN place = 1 THEN second_amount ELSE first_amount END,
  false, :day, :day, 'allocation', statement_timestamp()
FROM (
  SELECT *, row_number() OVER r AS place, first_value(branch_id) OVER r AS first_id,
    first_value(amount) OVER r AS first_amount, nth_value(branch_id, 2) OVER r AS second_id,
    nth_value(amount, 2) OVER r AS second_amount
  FROM (
    SELECT *, CASE WHEN loan_live THEN loan_outstanding_minor WHEN card_live THEN card_limit_minor
      ELSE deposit_sum_minor END AS amount
    FROM branch_facts WHERE loan_live OR card_live OR deposit_live
  ) live
  WINDOW r AS (
    PARTITION BY customer_id
    ORDER BY loan_live DESC, card_live DESC, amount DESC NULLS LAST, relation_since_date, branch_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
  )
) ranked"""


def measure(customers: int = CUSTOMERS) -> list[Result]:
    """The first night; the same night again, which changes nothing; a night on which one customer in 20 changed."""
    with servers.home() as home, servers.postgres_of(home) as server:
        return uvloop.run(_measure(servers.database(server, "bench_assignment", MIGRATIONS), customers))


async def _measure(url: str, customers: int) -> list[Result]:
    database = Database(url)
    await prepare(database, customers, DAY)
    limit, _ = await timed(_allocate_bare(database))
    first, report = await timed(allocate_ownerships(database, DAY, go_on))
    assert report.counts.customers == customers, report
    assert report.counts.changed_customers > customers * 0.9, report
    again, report = await timed(allocate_ownerships(database, DAY, go_on, everybody=True))
    assert report.counts == allocation.Counts(customers), report
    async with database.begin() as tx:
        await tx.execute(text(_CHANGE))
        await allocation.set_facts_date(tx, NEXT_DAY)
    later, report = await timed(allocate_ownerships(database, NEXT_DAY, go_on))
    assert report.counts.changed_customers, report
    await database.close()
    name = f"allocate_1m.{100 // _CHANGED_EVERY}_percent_changed"
    return [
        Result("allocate_1m", first, "s", limit, first / limit, "≤ 60 s, ratio ≤ 2; limit: window query, INSERT"),
        Result("allocate_1m.unchanged", again, "s", limit, again / limit, "≤ 25 s"),
        Result(name, later, "s", limit, later / limit),
    ]


async def prepare(database: Database, customers: int, day: date) -> None:
    """Fills a database with facts as of a date, and with the table of the limit."""
    async with database.begin() as tx:
        await tx.execute(text(_FACTS), {"customers": customers})
        await tx.execute(text(_STAFF))
        await tx.execute(text("CREATE TABLE bare (LIKE owner INCLUDING ALL)"))
        await allocation.set_facts_date(tx, day)
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE branch_facts, staff"))


async def _allocate_bare(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text("SET LOCAL work_mem = '96MB'"))
        await tx.execute(text(BARE), {"day": DAY})


async def timed(work: Awaitable[T]) -> tuple[float, T]:
    """How many seconds some work took, and what it gave."""
    begin = time.perf_counter()
    result = await work
    return time.perf_counter() - begin, result


async def go_on(_done: int, _total: int) -> bool:
    """Lets a night run to its end."""
    return True
