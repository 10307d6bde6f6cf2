"""Where what a query asks for stands, and which tables a statement must read for it.

A statement reads `customer_search`, which has one row for each customer, and others only if something mentions them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnClause, ColumnElement, FromClause, Integer, Numeric, and_, cast, func
from sqlalchemy.sql.visitors import iterate

from services.customer_svc.domain.conditions import Bound
from services.customer_svc.domain.figures import COMPUTED, VALUES, Difference, Share
from services.customer_svc.store.figure_columns import FIGURES
from services.customer_svc.store.seen import between
from services.customer_svc.store.tables import customer_branch_figures, customers
from services.customer_svc.store.tables_search import customer_search

KEY: ColumnElement[str] = customer_search.c.customer_id
"""The customer of the row that a condition speaks of."""
OWN_FIGURES = customer_branch_figures.alias("own_figures")


def customer_column(name: str) -> ColumnElement[Any]:
    """A column of the customer, from the narrow table if it is there."""
    return customer_search.c[name] if name in customer_search.c else customers.c[name]


def stored_figure(name: str, *, whole_bank: bool) -> ColumnElement[Any]:
    """A figure over the whole bank or at the viewer's own branch."""
    if name in VALUES:
        return customer_column(name)
    return customer_column(f"total_{name}") if whole_bank else OWN_FIGURES.c[name]


def figure_within(bound: Bound, *, whole_bank: bool) -> Iterator[ColumnElement[bool]]:
    """Says of a figure, as it is stored or computed from others (domain/figures.py), that it lies so."""
    match COMPUTED.get(bound.figure):
        case Difference(of, less):
            # Wider than both, whatever the feed brings.
            first, second = (stored_figure(each, whole_bank=whole_bank) for each in (of, less))
            change: ColumnElement[Any] = cast(first, Numeric) - cast(second, Numeric)
            yield from between(change, bound.low, bound.high)
        case Share() as share:
            yield from _share_within(share, bound, whole_bank=whole_bank)
        case None:
            yield from between(stored_figure(bound.figure, whole_bank=whole_bank), bound.low, bound.high)


def _share_within(share: Share, bound: Bound, *, whole_bank: bool) -> Iterator[ColumnElement[bool]]:
    """By what a share of the whole comes to: PostgreSQL multiplies faster than it divides."""
    # Wide enough for a hundred times what is stored.
    wide = BigInteger() if all(FIGURES[name] is Integer for name in share.whole) else Numeric()
    part = cast(stored_figure(share.part, whole_bank=whole_bank), wide)
    whole = [cast(stored_figure(name, whole_bank=whole_bank), wide) for name in share.whole]
    if len(whole) > 1:
        part = func.coalesce(part, 0) if share.part in share.whole else part
        whole = [func.coalesce(each, 0) for each in whole]
    total = whole[0]
    for each in whole[1:]:
        total += each
    yield total > 0
    if bound.low is not None:
        yield part * 100 >= total * bound.low
    if bound.high is not None:
        yield part * 100 <= total * bound.high


def joined(
    source: FromClause, key: ColumnElement[str], own_branch_id: ColumnElement[str] | None, named: Sequence[Any]
) -> FromClause:
    """Adds to `source` the tables that something named reads, each with at most one row for a customer."""
    tables = tables_of(named)
    if customers in tables:
        source = source.join(customers, customers.c.customer_id == key)
    if OWN_FIGURES in tables and own_branch_id is not None:
        same = and_(OWN_FIGURES.c.customer_id == key, OWN_FIGURES.c.branch_id == own_branch_id)
        source = source.outerjoin(OWN_FIGURES, same)
    return source


def tables_of(named: Sequence[ColumnElement[Any]]) -> frozenset[FromClause]:
    """The tables that something reads, also deep inside."""
    columns = [column for element in named for column in _columns_in(element)]
    return frozenset(column.table for column in columns if column.table is not None)


def searched_columns(named: Sequence[ColumnElement[Any]]) -> list[ColumnClause[Any]]:
    """The columns of `customer_search` that something reads, each once."""
    found = [column for element in named for column in _columns_in(element) if column.table is customer_search]
    return list(dict.fromkeys(found))


def _columns_in(element: ColumnElement[Any]) -> list[ColumnClause[Any]]:
    return [part for part in iterate(element) if isinstance(part, ColumnClause)]
