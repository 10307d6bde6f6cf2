"""How many customers of a query each value of a facet has, all facets in one pass."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Label, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.query import Asked, Facet
from services.customer_svc.store import search
from services.customer_svc.store.scope import visible
from services.customer_svc.store.tables_search import customer_search

_row = customer_search.c
_CLASSES: Mapping[str, ColumnElement[bool]] = {
    "DEPOSIT": func.coalesce(_row.total_account_count, 0) > 0,
    "LOAN": func.coalesce(_row.total_loan_count, 0) > 0,
    "CARD": func.coalesce(_row.total_card_count, 0) > 0,
    "KEY": _row.key_reason.is_not(None),
}


async def facets(conn: AsyncConnection, asked: Asked, wanted: Sequence[Facet]) -> Mapping[Facet, list[tuple[str, int]]]:
    """By facet, its values with how many customers of the query have each; who has none is not among them."""
    branch_id = visible(asked.scope, asked.reach.least).own_branch_id
    given = {facet: _columns(facet, branch_id) for facet in dict.fromkeys(wanted)}
    hit = search.columns_of(asked, *(column for columns in given.values() for column in columns)).subquery("hit")
    sets = {facet: [hit.c[column.name] for column in columns] for facet, columns in given.items()}
    # 0 in the rows of a facet's own set.
    marks = [func.grouping(columns[0]) for columns in sets.values()]
    each = select(func.count(), *marks, *(column for columns in sets.values() for column in columns))
    statement = each.group_by(func.grouping_sets(*(tuple_(*columns) for columns in sets.values())))
    totals: dict[Facet, Counter[str]] = {facet: Counter() for facet in sets}
    async with search.limited():
        for row in await conn.execute(statement):
            told: list[Any] = list(row[1:])
            facet = list(sets)[told.index(0)]
            place = len(sets) + sum(len(sets[other]) for other in list(sets)[: told.index(0)])
            for value in _values(facet, told[place : place + len(sets[facet])]):
                totals[facet][value] += row[0]
    return {facet: sorted(counts.items()) for facet, counts in totals.items()}


def _columns(facet: Facet, branch_id: ColumnElement[str] | None) -> list[Label[Any]]:
    match facet:
        case Facet.BRANCH:
            assert branch_id is not None, "who has no branch of his own is refused before"
            return [branch_id.label("branch")]
        case Facet.CLASS:
            return [holds.label(name.lower()) for name, holds in _CLASSES.items()]
        case Facet.TAG:
            return [_row.tag_codes.label("tags")]
        case Facet.TIER:
            return [_row.tier.label("tier")]


def _values(facet: Facet, told: Sequence[Any]) -> Iterator[str]:
    """The values of a facet that customers who are alike have."""
    match facet:
        case Facet.CLASS:
            yield from (name for name, holds in zip(_CLASSES, told, strict=True) if holds)
        case Facet.TAG:
            yield from told[0]
        case Facet.BRANCH | Facet.TIER:
            yield from (str(value) for value in told if value is not None)
