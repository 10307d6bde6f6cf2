"""How many customers fulfil a query, counted or estimated, as the viewer may be told it."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.counts import Told, coarse, exact
from services.customer_svc.domain.query import Query
from services.customer_svc.domain.reach import naming_fields
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.store import asking, customers, search
from services.customer_svc.usecases.ask_query import ask
from services.customer_svc.usecases.scopes import read_count_scope

EXACT_SECONDS_MAX = 2.0
_ROUNDED_ESTIMATE = 2
"""An estimate is told with so many leading digits, since the others mean nothing."""


@dataclass(frozen=True)
class Counted:
    """A number as the viewer may be told it."""

    customers: Told
    exact: bool
    confined: bool
    left_out: Told


async def count_customers(
    tx: AsyncConnection,
    query: Query,
    reading: Reading,
    *,
    estimated: bool = False,
    seconds_max: float = EXACT_SECONDS_MAX,
) -> Counted:
    """Counts the customers whom the query would find; who may not find a person in a count gets it coarse.

    What cannot be counted in time is estimated. A count by name or number looks somebody up, and is noted.
    """
    reach = await read_count_scope(tx, reading.viewer)
    asked = await ask(tx, query, reading.viewer, reach)
    await search.plan_for_these_values(tx)
    await note_lookup(tx, query, reading)
    told = coarse if reach.small_counts_hidden else exact
    number = None if estimated else await asking.count_within(tx, asked, seconds_max)
    if number is None:
        guess = _leading(await search.estimate(tx, asked))
        return Counted(told(guess), exact=False, confined=asked.reach.confined, left_out=told(0))
    left_out = told(await search.count_left_out(tx, asked))
    return Counted(told(number), exact=True, confined=asked.reach.confined, left_out=left_out)


async def note_lookup(tx: AsyncConnection, query: Query, reading: Reading) -> None:
    """Notes a count by name or number."""
    if fields := naming_fields(query):
        await customers.note_lookup(tx, reading, fields)


def _leading(number: int) -> int:
    """An estimate without digits that mean nothing."""
    unit = 10 ** max(len(str(number)) - _ROUNDED_ESTIMATE, 0)
    return round(number / unit) * unit
