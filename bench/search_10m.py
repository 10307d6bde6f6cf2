"""`python -m bench.search_10m`: first pages of ten million customers by the five indexed orders, by hand.

Takes about 15 minutes and 20 GB, which is why it is not among the benchmarks of the table.
"""

import sys
import time
from random import Random

import uvloop

from bench import search_queries
from bench.results import Result, show
from bench.search_page_1m import PAGE, p95
from bench.search_run import Searching, ask, searching
from services.customer_svc.domain.query import Order, OrderField, Query
from services.customer_svc.store import search

CUSTOMERS = 10_000_000
QUERIES = 20


def measure(queries: int = QUERIES, customers: int = CUSTOMERS) -> list[Result]:
    """By order, what 95 of 100 first pages of the head of the whole bank stay below."""
    with searching(customers) as run:
        return [uvloop.run(_measure(run, field, queries)) for field in search_queries.INDEXED]


async def _measure(run: Searching, field: OrderField, queries: int) -> Result:
    chance = Random(4)
    pages = list[float]()
    async with run.opened() as database:
        below = await run.regions(database)
        for _ in range(queries):
            # Two conditions each: what a page by an indexed order is for; more are for an estimate or a group.
            some = chance.sample(search_queries.conditions(chance, below), 2)
            query = Query(tuple(some), Order(field, chance.choice((False, True))))
            async with database.begin() as tx:
                asked = await ask(tx, search_queries.VIEWERS["root head"], query)
                await search.plan_for_these_values(tx)
                begin = time.perf_counter()
                await search.find(tx, asked, None, PAGE + 1)
                pages.append(time.perf_counter() - begin)
    return Result(f"search_10m.{field.lower()}", p95(pages), "ms", goal="≤ 1 s")


if __name__ == "__main__":
    show(measure())
    sys.exit(0)
