"""`python -m bench.search_plans`: writes docs/search-plans.md, the ten slowest statements with what PostgreSQL does.

Not a benchmark of the table: its figures are for reading, and change with the machine.
"""

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import uvloop
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import search_bank, search_queries
from bench.search_run import Searching, Statement, ask, searching, statements
from services.customer_svc.domain.query import Order, OrderField, Query
from services.customer_svc.store import search

DOCUMENT = Path(__file__).parent.parent / "docs" / "search-plans.md"
QUERIES = 30
WORST = 10
_HEADER = """# The ten slowest statements of a search

Made by `python -m bench.search_plans` on a bank of {customers:,} customers: of {queries} queries by chance for each of
four viewers, and of orders by own figures, the pages and counts that took longest, with
`EXPLAIN (ANALYZE, BUFFERS)`. Ids of long lists are left out.

How a statement is built (services/customer_svc/store/stages.py): all are counted by joins, in several processes. Of a
page what `customer_search` knows is asked first, and what is looked up elsewhere only of those who are left, until it
is full. Where some rows by chance say that it is near, it is looked for along the index of its order. Who sees one
branch starts at its rows of `owners`. After 5 s a statement is ended and refused with `QUERY_TOO_COSTLY`.
"""
# What a plan holds, and what that means; the first that fits is said.
_MEANINGS = (
    ("figures_deposit_average", "Follows the index of averages at branches, and keeps those at the viewer's own."),
    ("own_figures", "Joins the figures of the viewer's own branch to everybody who is left, and sorts."),
    ("Parallel Seq Scan on customer_search", "Several processes read the narrow table; others are joined or asked."),
    ("owners_branch", "Starts at the branch's rows of owners, and reads each customer by his key."),
    ("Index Scan using customer_search", "Follows the order's index until the page is full."),
    ("", "Reads the narrow table in one process, since so few rows are expected."),
)


@dataclass(frozen=True)
class Timed:
    """A statement, for whom it was, and how long it took."""

    seconds: float
    name: str
    statement: Statement


async def _worst(run: Searching) -> list[tuple[Timed, str]]:
    found: list[Timed] = []
    async with run.opened() as database:
        below = await run.regions(database)
        for name in search_queries.VIEWERS:
            chance = Random(3)
            for query in (search_queries.query_by_chance(chance, below) for _ in range(QUERIES)):
                async with database.begin() as tx:
                    found += await _timed(tx, name, query)
        for field in (OrderField.OWN_DEPOSIT_AVERAGE, OrderField.OWN_AUM, OrderField.LAST_CONTACT):
            async with database.begin() as tx:
                found += await _timed(tx, "root head", Query(order=Order(field, descending=True)))
        slowest = sorted(found, key=lambda timed: -timed.seconds)[:WORST]
        async with database.begin() as tx:
            await search.plan_for_these_values(tx)
            return [(timed, await _plan(tx, timed.statement)) for timed in slowest]


async def _timed(tx: AsyncConnection, name: str, query: Query) -> list[Timed]:
    asked = await ask(tx, search_queries.VIEWERS[name], query)
    await search.plan_for_these_values(tx)
    found: list[Timed] = []
    for counting in (False, True):
        begin = time.perf_counter()
        kind = "count" if counting else f"page by {query.order.field}"
        sent = await statements(tx, replace(asked, query=query), counting=counting)
        found.append(Timed(time.perf_counter() - begin, f"{name}, {kind}", sent[-1]))
    return found


async def _plan(tx: AsyncConnection, statement: Statement) -> str:
    driver: Any = (await tx.get_raw_connection()).driver_connection
    rows = await driver.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement.sql}", *statement.values)
    return "\n".join(_short(row[0]) for row in rows)


def _short(line: str) -> str:
    return re.sub(r"\{([^{}]{40})[^{}]*\}", r"{\1…}", line)


def _written(worst: Sequence[tuple[Timed, str]], customers: int) -> str:
    parts = [_HEADER.format(customers=customers, queries=QUERIES)]
    for number, (timed, plan) in enumerate(worst, 1):
        meaning = next(meaning for mark, meaning in _MEANINGS if mark in plan)
        parts.append(f"\n## {number}. {timed.name}: {timed.seconds * 1000:.0f} ms\n\n{meaning}\n\n```\n{plan}\n```\n")
    return "".join(parts)


def main(customers: int = search_bank.CUSTOMERS, document: Path = DOCUMENT) -> int:
    """Builds the bank, asks, and writes the document."""
    with searching(customers) as run:
        document.write_text(_written(uvloop.run(_worst(run)), customers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
