"""A query as one statement, in two stages where that is faster.

What stands in `customer_search` is asked first, of all customers, by several processes at once. What must be looked up
elsewhere is asked only of those who are left, and of a page only until it is full. Left to itself PostgreSQL gives up
the several processes as soon as something is looked up, and joins in an order that suits the one customer it expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Label, Select, select
from sqlalchemy.sql.util import ClauseAdapter

from services.customer_svc.domain.conditions import Condition
from services.customer_svc.domain.query import Asked
from services.customer_svc.domain.viewing import Level
from services.customer_svc.store import conditions
from services.customer_svc.store.columns import KEY, OWN_FIGURES, joined, searched_columns, tables_of
from services.customer_svc.store.scope import Visible, visible
from services.customer_svc.store.seen import Seen
from services.customer_svc.store.tables_search import customer_search


@dataclass(frozen=True)
class Wanted:
    """Conditions that must all hold of customers whom the viewer sees at least at a level."""

    conditions: Sequence[Condition]
    least: Level
    besides: tuple[ColumnElement[bool], ...] = ()
    """What must hold too, of `customer_search` or found elsewhere."""


@dataclass(frozen=True)
class Matching:
    """A statement that selects the ids of customers, and how it calls what else was named."""

    statement: Select[Any]
    key: ColumnElement[str]
    named: Sequence[ColumnElement[Any]]


def plain(asked: Asked, wanted: Wanted, named: Sequence[ColumnElement[Any]] = ()) -> Matching:
    """In one stage, so that an index of the order can be followed."""
    seen = visible(asked.scope, wanted.least)
    fulfilled = _fulfilled(asked, wanted, seen)
    source = joined(seen.source, KEY, seen.own_branch_id, [*fulfilled, *named])
    return Matching(select(KEY).select_from(source).where(*_always(seen), *fulfilled), KEY, named)


def staged(
    asked: Asked,
    wanted: Wanted,
    named: Sequence[ColumnElement[Any]] = (),
    order: Sequence[ColumnElement[Any]] = (),
) -> Matching:
    """In two stages, the first in an order if one is given."""
    seen = visible(asked.scope, wanted.least)
    fulfilled = _fulfilled(asked, wanted, seen)
    first = [each for each in fulfilled if tables_of([each]) <= {customer_search}]
    later = [each for each in fulfilled if each not in first]
    elsewhere = [*later, *(each for each in named if not tables_of([each]) <= {customer_search})]
    if not elsewhere or seen.source is not customer_search:
        return plain(asked, wanted, named)
    own = [seen.own_branch_id] if seen.own_branch_id is not None and OWN_FIGURES in tables_of(elsewhere) else []
    # Under its name, what it is computed from counts no more; an order by it is then known to be kept.
    computed = {each.name: each for each in named if isinstance(each, Label) and each not in elsewhere}
    kept = searched_columns([KEY, *later, *(each for each in named if each not in computed.values()), *own])
    # OFFSET 0 keeps the two apart.
    inner = (
        select(*kept, *computed.values()).where(*_always(seen), *first).order_by(*order).offset(0).subquery("left_over")
    )
    adapter = ClauseAdapter(inner)
    key, own_branch_id = inner.c.customer_id, adapter.traverse(own[0]) if own else None
    then = [adapter.traverse(each) for each in later]
    called = [
        inner.c[each.name] if isinstance(each, Label) and each.name in computed else adapter.traverse(each)
        for each in named
    ]
    source = joined(inner, key, own_branch_id, [*then, *called])
    return Matching(select(key).select_from(source).where(*then), key, called)


def _fulfilled(asked: Asked, wanted: Wanted, seen: Visible) -> list[ColumnElement[bool]]:
    from_there = Seen(asked.scope, asked.day, seen.own_branch_id)
    return [*wanted.besides, *(conditions.holds(condition, from_there) for condition in wanted.conditions)]


def _always(seen: Visible) -> tuple[ColumnElement[bool], ...]:
    return ~customer_search.c.gone, seen.holds
