"""Which customers fulfil a query, page by page or as a number, within what the viewer sees."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, func, literal, literal_column, select, text, true, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.engine import sqlstate
from services.customer_svc.domain.query import ORDERS, Asked, Order, OrderField, Position
from services.customer_svc.domain.viewing import Level, Scope
from services.customer_svc.store.columns import KEY, customer_column, searched_columns, stored_figure
from services.customer_svc.store.explain import planned_rows
from services.customer_svc.store.scope import one_of, primary_branch_ids, seen_at, single_branch_id
from services.customer_svc.store.stages import Walk, Wanted, sampled, sorted_first, walked, whole
from services.customer_svc.store.tables import customers
from services.customer_svc.store.tables_search import customer_search

SECONDS_MAX = 5.0
TOO_COSTLY = "QUERY_TOO_COSTLY"
_PLAN = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '32MB', true),"
    " set_config('statement_timeout', :milliseconds, true)"
)
_LIMIT = text("SELECT set_config('statement_timeout', :milliseconds, true)")
# Who sees one branch finds its few thousands sooner than other processes have started.
_ALONE = text("SELECT set_config('max_parallel_workers_per_gather', '0', true)")
_SCAN = text("SELECT set_config('enable_bitmapscan', 'off', true), set_config('random_page_cost', '2', true)")
_CANCELED = "57014"
# Each by one step along the index: DISTINCT would read all of it.
_PRIMARY_BRANCHES = text(
    "WITH RECURSIVE each AS (SELECT min(primary_branch_id) AS id FROM customer_search UNION ALL"
    " SELECT (SELECT min(primary_branch_id) FROM customer_search WHERE primary_branch_id > each.id) FROM each"
    " WHERE each.id IS NOT NULL) SELECT id FROM each WHERE id IS NOT NULL"
)
# These have an index.
_INDEXED = frozenset(
    {
        OrderField.CUSTOMER,
        OrderField.DISPLAY_NAME,
        OrderField.CUSTOMER_SINCE,
        OrderField.TOTAL_DEPOSIT_AVERAGE,
        OrderField.TOTAL_AUM,
    }
)
# So many steps along an index take a fifth of the time that it takes to look at a million customers.
_STEPS = 20_000
# Of so many rows by chance each stands for equally many, of which as many fulfil the query: a page is as many of them.
_HITS = 3
_PERCENT = (
    select(literal_column("least(100, 1000000 / greatest(reltuples, 1))", Float))
    .select_from(text("pg_class"))
    .where(text("oid = 'customer_search'::regclass"))
)


async def plan_for_these_values(tx: AsyncConnection) -> None:
    """Has each search of the transaction planned for its own values, with room to sort, and ended after 5 seconds.

    A plan for any list of branches, which PostgreSQL turns to after five runs, took 9 s instead of 0.2.
    """
    await tx.execute(_PLAN, {"milliseconds": str(round(SECONDS_MAX * 1000))})


async def limit_seconds(tx: AsyncConnection, seconds: float = SECONDS_MAX) -> None:
    """Ends what takes longer, in what follows of the transaction."""
    await tx.execute(_LIMIT, {"milliseconds": str(round(seconds * 1000))})


async def find(conn: AsyncConnection, asked: Asked, after: Position | None, limit: int) -> list[Position]:
    """The positions of the next customers after `after`, at most `limit`; those who lack the value come last.

    Where many are expected a page is first looked for within some steps along the index of the order. If it is not
    full then, all are looked at, and sorted.
    """
    await _plan_for(conn, asked.scope)
    async with limited():
        if await _may_walk(conn, asked, after, limit):
            found = await _segment(conn, _walk(asked, after), limit)
            if len(found) == limit:
                return found
        return await _segment(conn, _sorted(asked, after), limit)


async def count(conn: AsyncConnection, asked: Asked) -> int:
    """How many customers fulfil the query; its order is not looked at."""
    await _plan_for(conn, asked.scope)
    return await _count(conn, whole(asked, _wanted(asked)).statement)


async def estimate(conn: AsyncConnection, asked: Asked) -> int:
    """About how many customers fulfil the query, as the planner guesses it: in milliseconds, and never exactly."""
    return await planned_rows(conn, whole(asked, _wanted(asked)).statement)


async def count_left_out(conn: AsyncConnection, asked: Asked) -> int:
    """How many customers the confinement to the primary side leaves out, before what confines is looked at."""
    if not asked.reach.confined:
        return 0
    await _plan_for(conn, asked.scope)
    others = await _not_primary(conn, asked.scope)
    opened = Wanted(asked.reach.open_conditions, asked.reach.open_least, (others,))
    return await _count(conn, whole(asked, opened).statement)


def matching(asked: Asked) -> Select[str]:
    """The ids of the customers who fulfil the query, in no order; `customers` is among what it selects from."""
    return whole(asked, _wanted(asked), [customers.c.customer_id]).statement


def columns_of(asked: Asked, *columns: ColumnElement[Any]) -> Select[Any]:
    """Columns of the customers who fulfil the query, in no order."""
    found = whole(asked, _wanted(asked), columns)
    return found.statement.with_only_columns(*found.named)


@asynccontextmanager
async def limited() -> AsyncGenerator[None]:
    """Refuses what took too long, and says what to do instead."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) != _CANCELED:
            raise
        message = (
            f"the query needs more than {SECONDS_MAX:g} s: narrow it, ask for an estimate, or save it as a group and"
            " build that"
        )
        raise Refused(Kind.EXHAUSTED, TOO_COSTLY, message, {"seconds": f"{SECONDS_MAX:g}"}) from error


async def _plan_for(conn: AsyncConnection, scope: Scope) -> None:
    """Has the narrow table read from end to end for who sees many: by a bitmap of half of it takes twice as long.

    Nor along the index of an order, of which PostgreSQL thinks that it costs hardly more than the table itself.
    """
    by_name = any(grant.private_manager_id is not None for grant in scope.grants)
    if single_branch_id(scope) is not None:
        await conn.execute(_ALONE)
    elif not by_name:
        await conn.execute(_SCAN)


def _wanted(asked: Asked) -> Wanted:
    return Wanted(asked.query.conditions, asked.reach.least)


async def _count(conn: AsyncConnection, statement: Select[Any]) -> int:
    async with limited():
        return (await conn.execute(statement.with_only_columns(func.count(), maintain_column_froms=True))).scalar_one()


async def _not_primary(conn: AsyncConnection, scope: Scope) -> ColumnElement[bool]:
    """Says of a customer that the viewer is not on his primary side.

    For who sees by branches alone, by the branches that he does not see: to the head of the whole bank there are none,
    and the index says so at once.
    """
    branch_ids = primary_branch_ids(scope)
    if branch_ids is None:
        return seen_at(scope, Level.PRIMARY).is_not(true())
    all_ids = frozenset((await conn.execute(_PRIMARY_BRANCHES)).scalars())
    column = customer_search.c.primary_branch_id
    unseen = all_ids - branch_ids
    return column.is_(None) | one_of(column, unseen) if unseen else column.is_(None)


async def _may_walk(conn: AsyncConnection, asked: Asked, after: Position | None, limit: int) -> bool:
    """Says whether a page may be full after few steps along the index of the order, going by some rows by chance.

    What the planner expects does not do: of ten conditions that hang together it is a hundredth of what there is.
    """
    order = asked.query.order
    if order.field not in _INDEXED or single_branch_id(asked.scope) is not None:
        return False
    if after is not None and after.value is None and order.field is not OrderField.CUSTOMER:
        return False
    if not asked.query.conditions:
        return True
    column = _order_column(order.field)
    some = sampled(asked, _wanted(asked), column, _PERCENT).cte("some").prefix_with("MATERIALIZED")
    value = some.c.value
    known = value.is_not(None)
    if after is not None:
        known &= _behind(value, literal(after.value, column.type), order)
    nth = select(value).where(known, some.c.hit).order_by(*_ends(order, value)).limit(1).offset(_HITS - 1)
    before = select(func.count()).where(known, _behind(nth.scalar_subquery(), value, order))
    number, enough = (await conn.execute(before.add_columns(nth.scalar_subquery().is_not(None)))).one()
    return enough and number * limit / _HITS <= _STEPS / 2


def _walk(asked: Asked, after: Position | None) -> Select[Any, str]:
    order, column = asked.query.order, _order_column(asked.query.order.field)
    start: list[ColumnElement[bool]] = [column.is_not(None)]
    if after is not None:
        start.append(_behind(tuple_(column, KEY), _place(after, column), order))
    found = walked(asked, _wanted(asked), column, Walk(start, _ends(order, column, KEY), _STEPS))
    value, key = *found.named, found.key
    return found.statement.with_only_columns(value, key).order_by(*_ends(order, value, key))


def _sorted(asked: Asked, after: Position | None) -> Select[Any, str]:
    order, column = asked.query.order, _order_column(asked.query.order.field)
    here = searched_columns([column]) == [column]
    lacking = column.is_(None).label("lacks_it")
    first = [lacking, *_ends(order, column, KEY)] if here else []
    found = sorted_first(asked, _wanted(asked), [column, lacking], first)
    (value, lacks), key = found.named, found.key
    statement = found.statement.with_only_columns(value, key)
    if after is not None:
        behind = value.is_(None) & _behind(key, literal(after.customer_id), order)
        if after.value is not None:
            behind = value.is_(None) | _behind(tuple_(value, key), _place(after, value), order)
        statement = statement.where(behind)
    return statement.order_by(lacks, *_ends(order, value, key))


def _place(after: Position, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return tuple_(literal(after.value, column.type), literal(after.customer_id))


def _behind(here: ColumnElement[Any], there: ColumnElement[Any], order: Order) -> ColumnElement[bool]:
    return here < there if order.descending else here > there


def _order_column(field: OrderField) -> ColumnElement[Any]:
    source = ORDERS[field]
    if source.seen in {"own", "total"}:
        return stored_figure(source.column, whole_bank=not source.is_own)
    return customer_column(source.column)


def _ends(order: Order, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [column.desc() if order.descending else column.asc() for column in columns]


async def _segment(conn: AsyncConnection, statement: Select[Any, str], limit: int) -> list[Position]:
    rows = await conn.execute(statement.limit(limit))
    return [Position(value, customer_id) for value, customer_id in rows]
