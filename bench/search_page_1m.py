"""First page of a ten-condition search over a million customers: what a viewer waits for, and what the bare SQL takes.

The use case finds the page, says how many customers were left out, and shows fifty people with an audit row each. The
limit is the statement that finds them, as PostgreSQL runs it for asyncpg alone with the same settings.
"""

import time
from collections.abc import Sequence
from random import Random
from statistics import quantiles

import uvloop

from bench import search_bank, search_queries
from bench.results import Result
from bench.search_run import Searching, searching
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.usecases.search_customers import search_customers

QUERIES = 200
PAGE = 50
_VIEWERS = ("root head", "branch head", "manager")


def measure(queries: int = QUERIES, customers: int = search_bank.CUSTOMERS) -> list[Result]:
    """95 of 100 first pages are faster than this, by viewer; the first figure is that of the head of the whole bank."""
    with searching(customers) as run:
        return [uvloop.run(_measure(run, name, queries)) for name in _VIEWERS]


async def _measure(run: Searching, name: str, queries: int) -> Result:
    chance = Random(1)
    viewer = search_queries.VIEWERS[name]
    pages, bare = list[float](), list[float]()
    async with run.opened() as database:
        below = await run.regions(database)
        for _ in range(queries):
            query = search_queries.query_by_chance(chance, below)
            async with database.begin() as tx:
                begin = time.perf_counter()
                await search_customers(tx, query, Reading(viewer, "bench", "bench", run.keys), None, PAGE)
                pages.append(time.perf_counter() - begin)
            bare.append(await run.bare(database, viewer, query))
    value, limit = p95(pages), p95(bare)
    label = "search_page_1m" if name == _VIEWERS[0] else f"search_page_1m.{name.replace(' ', '_')}"
    return Result(label, value, "ms", limit, value / limit, "≤ 150 ms, at most twice the bare statement")


def p95(seconds: Sequence[float]) -> float:
    """What 95 of 100 stay below, in milliseconds."""
    return quantiles(seconds, n=20, method="inclusive")[-1] * 1000
