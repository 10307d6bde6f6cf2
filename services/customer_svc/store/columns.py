"""Where what a query asks for stands, and which tables a statement must read for it.

A statement reads `customer_search`, which has one row for each customer, and others only if something mentions them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnClause, ColumnElement, FromClause, Numeric, and_, case, cast, func
from sqlalchemy.sql.visitors import iterate

from services.customer_svc.domain.figures import COMPUTED, VALUES, Difference, Share
from services.customer_svc.store.tables import contact_rooms, customer_branch_figures, customers
from services.customer_svc.store.tables_search import customer_search

KEY: ColumnElement[str] = customer_search.c.customer_id
"""The customer of the row that a condition speaks of."""
OWN_FIGURES = customer_branch_figures.alias("own_figures")
ROOMS = contact_rooms.alias("rooms")


def customer_column(name: str) -> ColumnElement[Any]:
    """A column of the customer, from the narrow table if it is there."""
    return customer_search.c[name] if name in customer_search.c else customers.c[name]


def stored_figure(name: str, *, whole_bank: bool) -> ColumnElement[Any]:
    """A figure over the whole bank or at the viewer's own branch."""
    if name in VALUES:
        return customer_column(name)
    return customer_column(f"total_{name}") if whole_bank else OWN_FIGURES.c[name]


def figure(name: str, *, whole_bank: bool) -> ColumnElement[Any]:
    """A figure as it is stored or computed from others (domain/figures.py)."""
    match COMPUTED.get(name):
        case Difference(of, less):
            # Wider than both, whatever the feed brings.
            first, second = (stored_figure(each, whole_bank=whole_bank) for each in (of, less))
            return cast(first, Numeric) - cast(second, Numeric)
        case Share() as share:
            return _share(share, whole_bank=whole_bank)
        case None:
            return stored_figure(name, whole_bank=whole_bank)


def _share(share: Share, *, whole_bank: bool) -> ColumnElement[Any]:
    part = cast(stored_figure(share.part, whole_bank=whole_bank), Numeric)
    whole = [cast(stored_figure(name, whole_bank=whole_bank), Numeric) for name in share.whole]
    if len(whole) > 1:
        part = func.coalesce(part, 0) if share.part in share.whole else part
        whole = [func.coalesce(each, 0) for each in whole]
    total = whole[0]
    for each in whole[1:]:
        total += each
    return case((total > 0, part * 100 / total))


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
    if ROOMS in tables:
        source = source.outerjoin(ROOMS, ROOMS.c.customer_id == key)
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
