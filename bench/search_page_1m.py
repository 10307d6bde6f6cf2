"""First page of a ten-condition search over a million customers: what a viewer waits for, and what the bare SQL takes.

The use case finds the page, says how many customers were left out, and shows fifty people with an audit row each. The
limit is all that it sends to PostgreSQL, sent again by asyncpg alone: what remains is the work of the service.
"""

from collections.abc import Sequence
from functools import partial
from random import Random
from statistics import quantiles

import uvloop

from bench import search_bank, search_queries
from bench.results import Result
from bench.search_run import Searching, compared, searching
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.usecases.search_customers import search_customers

QUERIES = 100
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
            reading = Reading(viewer, "bench", "bench", run.keys)
            work = partial(search_customers, query=query, reading=reading, start=None, limit=PAGE)
            _, seconds, alone = await compared(database, work)
            pages.append(seconds)
            bare.append(alone)
    value, limit = p95(pages), p95(bare)
    label = "search_page_1m" if name == _VIEWERS[0] else f"search_page_1m.{name.replace(' ', '_')}"
    return Result(label, value, "ms", limit, value / limit, "≤ 150 ms, at most twice the bare statements")


def p95(seconds: Sequence[float]) -> float:
    """What 95 of 100 stay below, in milliseconds."""
    return quantiles(seconds, n=20, method="inclusive")[-1] * 1000
