"""How many customers of a query each value of a facet has, as the viewer may be told it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.counts import FacetCounts, Told, coarse, exact, facet_counts
from services.customer_svc.domain.query import PARTITIONS, Facet, Query
from services.customer_svc.domain.viewing import CountScope, Reading
from services.customer_svc.store import facets, search
from services.customer_svc.usecases.ask_query import ask
from services.customer_svc.usecases.count_customers import note_lookup
from services.customer_svc.usecases.scopes import read_count_scope


@dataclass(frozen=True)
class Faceted:
    """Numbers by facets as the viewer may be told them."""

    customers: Told
    facets: Mapping[Facet, FacetCounts]
    confined: bool
    left_out: Told


async def facet_customers(tx: AsyncConnection, query: Query, reading: Reading, wanted: Sequence[Facet]) -> Faceted:
    """Counts them by facets, each with its values' numbers such that none tells a smaller one by subtraction."""
    reach = await read_count_scope(tx, reading.viewer)
    asked = await ask(tx, query, reading.viewer, reach, wanted)
    await search.plan_for_these_values(tx)
    await note_lookup(tx, query, reading)
    number = await search.count(tx, asked)
    found = await facets.facets(tx, asked, wanted)
    return Faceted(
        _told(reach, number),
        {facet: _facet(facet, found[facet], number, reach) for facet in wanted},
        asked.reach.confined,
        _told(reach, await search.count_left_out(tx, asked)),
    )


def _facet(facet: Facet, found: Sequence[tuple[str, int]], number: int, reach: CountScope) -> FacetCounts:
    return facet_counts(found, number, hidden=reach.small_counts_hidden, partition=facet in PARTITIONS)


def _told(reach: CountScope, number: int) -> Told:
    return coarse(number) if reach.small_counts_hidden else exact(number)
