"""Which customers fulfil a query, page by page or as a number, within what the viewer sees."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, text, true, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.engine import sqlstate
from services.customer_svc.domain.conditions import Condition
from services.customer_svc.domain.query import ORDERS, Asked, Order, OrderField, OrderValue, Position
from services.customer_svc.domain.viewing import Level
from services.customer_svc.store import conditions
from services.customer_svc.store.columns import KEY, ROOMS, customer_column, joined, stored_figure
from services.customer_svc.store.explain import planned_rows
from services.customer_svc.store.scope import seen_at, single_branch_id, visible
from services.customer_svc.store.seen import Seen
from services.customer_svc.store.tables import customers
from services.customer_svc.store.tables_search import customer_search

SECONDS_MAX = 5
_PLAN = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '32MB', true),"
    f" set_config('statement_timeout', '{SECONDS_MAX}s', true)"
)
_CANCELED = "57014"


async def plan_for_these_values(tx: AsyncConnection) -> None:
    """Has each search of the transaction planned for its own values, with room to sort, and ended after 5 seconds.

    A plan for any list of branches, which PostgreSQL turns to after five runs, took 9 s instead of 0.2.
    """
    await tx.execute(_PLAN)


async def find(conn: AsyncConnection, asked: Asked, after: Position | None, limit: int) -> list[Position]:
    """The positions of the next customers after `after`, at most `limit`.

    Those who have the value come first, read along its index; only when they run out, those who lack it.
    """
    order = asked.query.order
    column = _order_column(asked)
    base = _matching(asked, asked.query.conditions, asked.reach.least, column)
    found: list[Position] = []
    async with limited():
        if after is None or after.value is not None:
            found = await _segment(conn, _known(base, column, order, after), limit)
        if len(found) < limit and order.field is not OrderField.CUSTOMER:
            behind = after if after is not None and after.value is None else None
            found += await _segment(conn, _unknown(base, column, order, behind), limit - len(found))
    return found


async def count(conn: AsyncConnection, asked: Asked) -> int:
    """How many customers fulfil the query; its order is not looked at."""
    async with limited():
        return (await conn.execute(_counted(asked))).scalar_one()


async def estimate(conn: AsyncConnection, asked: Asked) -> int:
    """About how many customers fulfil the query, as the planner guesses it: in milliseconds, and never exactly."""
    return await planned_rows(conn, _matching(asked, asked.query.conditions, asked.reach.least))


async def count_left_out(conn: AsyncConnection, asked: Asked) -> int:
    """How many customers the confinement to the primary side leaves out, before what confines is looked at."""
    if not asked.reach.confined:
        return 0
    statement = _matching(asked, asked.reach.open_conditions, asked.reach.open_least)
    statement = statement.where(seen_at(asked.scope, Level.PRIMARY).is_not(true())).with_only_columns(func.count())
    async with limited():
        return (await conn.execute(statement)).scalar_one()


def matching(asked: Asked) -> Select[str]:
    """The ids of the customers who fulfil the query, in no order; `customers` is among what it selects from."""
    return _matching(asked, asked.query.conditions, asked.reach.least, customers.c.customer_id)


def columns_of(asked: Asked, *columns: ColumnElement[Any]) -> Select[Any]:
    """Columns of the customers who fulfil the query, in no order."""
    statement = _matching(asked, asked.query.conditions, asked.reach.least, *columns)
    return statement.with_only_columns(*columns)


@asynccontextmanager
async def limited() -> AsyncGenerator[None]:
    """Refuses what took too long, and says what to do instead."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) != _CANCELED:
            raise
        message = (
            f"the query needs more than {SECONDS_MAX} s: narrow it, ask for an estimate, or save it as a group and"
            " build that"
        )
        raise Refused(Kind.EXHAUSTED, "QUERY_TOO_COSTLY", message, {"seconds": str(SECONDS_MAX)}) from error


def _counted(asked: Asked) -> Select[int]:
    return _matching(asked, asked.query.conditions, asked.reach.least).with_only_columns(func.count())


def _matching(asked: Asked, wanted: Sequence[Condition], least: Level, *named: ColumnElement[Any]) -> Select[str]:
    """The ids of customers; `named` is what else the statement will ask for of them."""
    seen = visible(asked.scope, least)
    from_there = Seen(asked.scope, asked.day, seen.own_branch_id)
    fulfilled = [conditions.holds(condition, from_there) for condition in wanted]
    source = joined(seen.source, seen.own_branch_id, *fulfilled, *named)
    return select(KEY).select_from(source).where(~customer_search.c.gone, seen.holds, *fulfilled)


def _order_column(asked: Asked) -> ColumnElement[OrderValue]:
    """What is ordered by. Within one branch not as a bare column: its customers are read and sorted.

    Along the column's index one would walk past the whole bank's customers to find some of the branch.
    """
    field = asked.query.order.field
    column = _stored_order(field)
    if single_branch_id(asked.scope) is None or field is OrderField.CUSTOMER:
        return column
    return func.greatest(column, type_=column.type)


def _stored_order(field: OrderField) -> ColumnElement[Any]:
    source = ORDERS[field]
    if source.seen in {"own", "total"}:
        return stored_figure(source.column, whole_bank=not source.is_own)
    if field is OrderField.LAST_CONTACT:
        return ROOMS.c[source.column]
    return customer_column(source.column)


def _known(
    base: Select[str], column: ColumnElement[OrderValue], order: Order, after: Position | None
) -> Select[OrderValue, str]:
    statement = base.with_only_columns(column, KEY).where(column.is_not(None))
    if after is not None:
        here, there = tuple_(column, KEY), tuple_(literal(after.value, column.type), literal(after.customer_id))
        statement = statement.where(here < there if order.descending else here > there)
    return _directed(statement, order, column, KEY)


def _unknown(
    base: Select[str], column: ColumnElement[OrderValue], order: Order, after: Position | None
) -> Select[OrderValue, str]:
    statement = base.with_only_columns(column, KEY).where(column.is_(None))
    if after is not None:
        there = literal(after.customer_id)
        statement = statement.where(there > KEY if order.descending else there < KEY)
    return _directed(statement, order, KEY)


def _directed(
    statement: Select[OrderValue, str], order: Order, *columns: ColumnElement[Any]
) -> Select[OrderValue, str]:
    return statement.order_by(*(column.desc() if order.descending else column.asc() for column in columns))


async def _segment(conn: AsyncConnection, statement: Select[OrderValue, str], limit: int) -> list[Position]:
    rows = await conn.execute(statement.limit(limit))
    return [Position(value, customer_id) for value, customer_id in rows]
