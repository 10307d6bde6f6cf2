"""Exact count of a ten-condition search over a million customers, against the bare SQL of the same statements."""

from functools import partial
from random import Random

import uvloop

from bench import search_bank, search_queries
from bench.results import Result
from bench.search_page_1m import QUERIES, p95
from bench.search_run import Searching, compared, searching
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.usecases.count_customers import count_customers

_VIEWERS = ("root head", "branch head")


def measure(queries: int = QUERIES, customers: int = search_bank.CUSTOMERS) -> list[Result]:
    """95 of 100 counts are faster than this, by viewer."""
    with searching(customers) as run:
        return [uvloop.run(_measure(run, name, queries)) for name in _VIEWERS]


async def _measure(run: Searching, name: str, queries: int) -> Result:
    chance = Random(2)
    viewer = search_queries.VIEWERS[name]
    counts, bare = list[float](), list[float]()
    async with run.opened() as database:
        below = await run.regions(database)
        for _ in range(queries):
            query = search_queries.query_by_chance(chance, below)
            reading = Reading(viewer, "bench", "bench", run.keys)
            work = partial(count_customers, query=query, reading=reading, seconds_max=5.0)
            counted, seconds, alone = await compared(database, work)
            assert counted.exact, query
            counts.append(seconds)
            bare.append(alone)
    value, limit = p95(counts), p95(bare)
    label = "search_count_1m" if name == _VIEWERS[0] else f"search_count_1m.{name.replace(' ', '_')}"
    return Result(label, value, "ms", limit, value / limit, "≤ 300 ms, at most twice the bare statements")
