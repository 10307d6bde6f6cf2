"""A query as one statement: of all who fulfil it in one stage, of a page in two.

All are found by joins, which PostgreSQL orders by what it expects and runs in several processes. Of a page what stands
in `customer_search` is asked first, and what must be looked up elsewhere only of those who are left, until it is full.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BinaryExpression,
    ColumnElement,
    Exists,
    Label,
    Select,
    Subquery,
    and_,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping, True_, UnaryExpression
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import replacement_traverse

from services.customer_svc.domain.conditions import Condition
from services.customer_svc.domain.query import Asked
from services.customer_svc.domain.viewing import Level
from services.customer_svc.store import conditions
from services.customer_svc.store.columns import KEY, OWN_FIGURES, joined, searched_columns, tables_of
from services.customer_svc.store.scope import Visible, visible
from services.customer_svc.store.seen import Seen
from services.customer_svc.store.tables_search import customer_search

# OFFSET keeps two stages apart. Only of a text that means nought does PostgreSQL know early enough that nothing is
# skipped, and then what follows can run in several processes too.
_APART = literal_column("'0'")


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


@dataclass(frozen=True)
class Walk:
    """Steps along the index of an order, from where `start` holds on."""

    start: Sequence[ColumnElement[bool]]
    order: Sequence[ColumnElement[Any]]
    steps: int


def whole(asked: Asked, wanted: Wanted, named: Sequence[ColumnElement[Any]] = ()) -> Matching:
    """All of them, in no order."""
    seen = visible(asked.scope, wanted.least)
    fulfilled = [part for each in _fulfilled(asked, wanted, seen) for part in _parts(each)]
    source = joined(seen.source, KEY, seen.own_branch_id, [*fulfilled, *named])
    return Matching(select(KEY).select_from(source).where(*_always(seen), *fulfilled), KEY, named)


def plain(asked: Asked, wanted: Wanted, named: Sequence[ColumnElement[Any]] = ()) -> Matching:
    """All of them, in no order, where something else says that they are few: each is looked up by itself."""
    seen = visible(asked.scope, wanted.least)
    fulfilled = _fulfilled(asked, wanted, seen)
    source = joined(seen.source, KEY, seen.own_branch_id, [*fulfilled, *named])
    return Matching(select(KEY).select_from(source).where(*_always(seen), *fulfilled), KEY, named)


def sorted_first(
    asked: Asked, wanted: Wanted, named: Sequence[ColumnElement[Any]], order: Sequence[ColumnElement[Any]]
) -> Matching:
    """In two stages, the first in an order if one is given."""
    seen = visible(asked.scope, wanted.least)
    fulfilled = _fulfilled(asked, wanted, seen)
    first = [each for each in fulfilled if tables_of([each]) <= {customer_search}]
    later = [each for each in fulfilled if each not in first]
    elsewhere = [*later, *(each for each in named if not tables_of([each]) <= {customer_search})]
    if not elsewhere or seen.source is not customer_search:
        return plain(asked, wanted, named)
    inner = select(*_kept(seen, later, named)).where(*_always(seen), *first).order_by(*order).offset(_APART)
    return _then(seen, inner.subquery("left_over"), later, named)


def walked(asked: Asked, wanted: Wanted, column: ColumnElement[Any], walk: Walk) -> Matching:
    """Those among the first rows in an order of a column: so many rows are looked at, and no more."""
    seen = visible(asked.scope, wanted.least)
    then = [_looked_up(each) for each in (*_always(seen), *_fulfilled(asked, wanted, seen))]
    # What asks for nothing but the column says where the first row is.
    start = [each for each in then if searched_columns([each]) == [column] and tables_of([each]) <= {customer_search}]
    inner = select(*_kept(seen, then, [column])).where(*walk.start, *start).order_by(*walk.order).limit(walk.steps)
    return _then(seen, inner.subquery("left_over"), then, [column])


def sampled(asked: Asked, wanted: Wanted, column: ColumnElement[Any], percent: Select[Any]) -> Select[Any, bool]:
    """A column of some rows by chance, and whether they fulfil the query."""
    seen = visible(asked.scope, wanted.least)
    holds = _looked_up(and_(true(), *_always(seen), *_fulfilled(asked, wanted, seen)))
    # Looked at in blocks: so few rows are read in a few milliseconds.
    rows = customer_search.tablesample(func.system(percent.scalar_subquery()), "left_over")
    adapter = ClauseAdapter(rows)
    key, own = adapter.traverse(KEY), seen.own_branch_id
    own_branch_id = adapter.traverse(own) if own is not None and OWN_FIGURES in tables_of([holds]) else None
    source = joined(rows, key, own_branch_id, [adapter.traverse(holds)])
    return select(adapter.traverse(column).label("value"), adapter.traverse(holds).label("hit")).select_from(source)


def _kept(
    seen: Visible, later: Sequence[ColumnElement[bool]], named: Sequence[ColumnElement[Any]]
) -> list[ColumnElement[Any]]:
    """What a first stage hands on. Under its name, what it is computed from counts no more."""
    computed = _computed(named)
    own = [seen.own_branch_id] if seen.own_branch_id is not None and OWN_FIGURES in tables_of([*later, *named]) else []
    others = [each for each in named if each not in computed]
    return [*searched_columns([KEY, *later, *others, *own]), *computed]


def _computed(named: Sequence[ColumnElement[Any]]) -> list[Label[Any]]:
    return [each for each in named if isinstance(each, Label) and tables_of([each]) <= {customer_search}]


def _then(
    seen: Visible, inner: Subquery, later: Sequence[ColumnElement[bool]], named: Sequence[ColumnElement[Any]]
) -> Matching:
    adapter = ClauseAdapter(inner)
    own = seen.own_branch_id is not None and OWN_FIGURES in tables_of([*later, *named])
    own_branch_id = adapter.traverse(seen.own_branch_id) if own and seen.own_branch_id is not None else None
    then = [adapter.traverse(each) for each in later]
    computed = _computed(named)
    called = [inner.c[each.name] if each in computed else adapter.traverse(each) for each in named]
    key = inner.c.customer_id
    source = joined(inner, key, own_branch_id, [*then, *called])
    return Matching(select(key).select_from(source).where(*then), key, called)


def _fulfilled(asked: Asked, wanted: Wanted, seen: Visible) -> list[ColumnElement[bool]]:
    from_there = Seen(asked.scope, asked.day, seen.own_branch_id)
    return [*wanted.besides, *(conditions.holds(condition, from_there) for condition in wanted.conditions)]


def _looked_up(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same, looking up each customer by his key, for few customers: else all rows may be read and hashed first."""
    return replacement_traverse(condition, {}, _apart)


def _apart(element: object, **_: object) -> Exists | None:
    return element.element.element.offset(_APART).exists() if isinstance(element, Exists) else None


def _parts(condition: ColumnElement[bool]) -> Iterator[ColumnElement[bool]]:
    """What must all hold for a condition to hold, with look-ups as what can be joined."""
    match condition:
        case BooleanClauseList(operator=operators.and_, clauses=clauses):
            for each in clauses:
                yield from _parts(each)
        case _:
            yield _joinable(condition)


def _joinable(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    match condition:
        case Grouping(element=ColumnElement() as element):
            return _joinable(element)
        case BinaryExpression(operator=operators.is_, left=left, right=True_()):
            asked = _joinable(left)
            return asked if _is_exists(asked) else condition
        case BinaryExpression(operator=operators.is_not, left=left, right=True_()):
            asked = _joinable(left)
            return ~asked if _is_exists(asked) else condition
        case _:
            return condition


def _is_exists(condition: ColumnElement[Any]) -> bool:
    """Says whether a condition is EXISTS or NOT EXISTS, which are never NULL."""
    match condition:
        case (
            Grouping(element=ColumnElement() as element)
            | UnaryExpression(operator=operators.inv, element=ColumnElement() as element)
        ):
            return _is_exists(element)
        case _:
            return isinstance(condition, Exists)


def _always(seen: Visible) -> tuple[ColumnElement[bool], ...]:
    return ~customer_search.c.gone, seen.holds
