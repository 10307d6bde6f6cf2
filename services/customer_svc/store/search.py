"""Which customers fulfil a query, page by page or as a number, within what the viewer sees."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.query import Asked, Condition, Order, OrderField, OrderValue, Position
from services.customer_svc.domain.viewing import Level
from services.customer_svc.store import conditions
from services.customer_svc.store.scope import opened_somewhere, single_branch_id, visible
from services.customer_svc.store.tables import customers

_ORDER_COLUMNS: dict[OrderField, ColumnElement[OrderValue]] = {
    OrderField.CUSTOMER: customers.c.customer_id,
    OrderField.DISPLAY_NAME: customers.c.display_name,
    OrderField.CUSTOMER_SINCE: customers.c.customer_since_date,
    OrderField.OWN_DEPOSIT_AVERAGE: conditions.OWN_FIGURES.c.deposit_average_minor,
    OrderField.TOTAL_DEPOSIT_AVERAGE: customers.c.total_deposit_average_minor,
}
_PLAN = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '32MB', true)")
_key = customers.c.customer_id


async def plan_for_these_values(tx: AsyncConnection) -> None:
    """Has each search of the transaction planned for its own values, with room to sort a large branch's customers.

    A plan for any list of branches, which PostgreSQL turns to after five runs, took 9 s instead of 0.2.
    """
    await tx.execute(_PLAN)


async def find(conn: AsyncConnection, asked: Asked, after: Position | None, limit: int) -> list[Position]:
    """The positions of the next customers after `after`, at most `limit`.

    Those who have the value come first, read along its index; only when they run out, those who lack it.
    """
    order = asked.query.order
    base = _matching(asked, asked.query.conditions, asked.reach.least)
    column = _order_column(asked)
    found: list[Position] = []
    if after is None or after.value is not None:
        found = await _segment(conn, _known(base, column, order, after), limit)
    if len(found) < limit and order.field is not OrderField.CUSTOMER:
        behind = after if after is not None and after.value is None else None
        found += await _segment(conn, _unknown(base, column, order, behind), limit - len(found))
    return found


async def count(conn: AsyncConnection, asked: Asked) -> int:
    """How many customers fulfil the query; its order is not looked at."""
    statement = _matching(asked, asked.query.conditions, asked.reach.least).with_only_columns(func.count())
    return (await conn.execute(statement)).scalar_one()


async def count_left_out(conn: AsyncConnection, asked: Asked) -> int:
    """How many customers the confinement to the primary side leaves out, before what confines is looked at."""
    if not asked.reach.confined:
        return 0
    statement = _matching(asked, asked.reach.open_conditions, asked.reach.open_least)
    statement = statement.where(~opened_somewhere(asked.scope, Level.PRIMARY)).with_only_columns(func.count())
    return (await conn.execute(statement)).scalar_one()


def _matching(asked: Asked, wanted: Sequence[Condition], least: Level) -> Select[str]:
    by_own = asked.query.order.field is OrderField.OWN_DEPOSIT_AVERAGE
    needs_own = by_own or any(conditions.needs_own_figures(condition) for condition in wanted)
    seen = visible(asked.scope, least, needs_own=needs_own)
    source = seen.source
    if needs_own and seen.own_branch_id is not None:
        figures = conditions.OWN_FIGURES
        same = and_(figures.c.customer_id == _key, figures.c.branch_id == seen.own_branch_id)
        source = source.outerjoin(figures, same)
    fulfilled = [conditions.holds(condition, asked.scope, seen.own_branch_id, asked.day) for condition in wanted]
    return select(_key).select_from(source).where(seen.holds, ~customers.c.gone, *fulfilled)


def _order_column(asked: Asked) -> ColumnElement[OrderValue]:
    """What is ordered by. Within one branch not as a bare column: its customers are read and sorted.

    Along the column's index one would walk past the whole bank's customers to find some of the branch.
    """
    column = _ORDER_COLUMNS[asked.query.order.field]
    if single_branch_id(asked.scope) is None or asked.query.order.field is OrderField.CUSTOMER:
        return column
    return func.greatest(column, type_=column.type)


def _known(
    base: Select[str], column: ColumnElement[OrderValue], order: Order, after: Position | None
) -> Select[OrderValue, str]:
    statement = base.with_only_columns(column, _key).where(column.is_not(None))
    if after is not None:
        here, there = tuple_(column, _key), tuple_(literal(after.value), literal(after.customer_id))
        statement = statement.where(here < there if order.descending else here > there)
    return _directed(statement, order, column, _key)


def _unknown(
    base: Select[str], column: ColumnElement[OrderValue], order: Order, after: Position | None
) -> Select[OrderValue, str]:
    statement = base.with_only_columns(column, _key).where(column.is_(None))
    if after is not None:
        statement = statement.where(_key < after.customer_id if order.descending else _key > after.customer_id)
    return _directed(statement, order, _key)


def _directed(
    statement: Select[OrderValue, str], order: Order, *columns: ColumnElement[OrderValue]
) -> Select[OrderValue, str]:
    return statement.order_by(*(column.desc() if order.descending else column.asc() for column in columns))


async def _segment(conn: AsyncConnection, statement: Select[OrderValue, str], limit: int) -> list[Position]:
    rows = await conn.execute(statement.limit(limit))
    return [Position(value, customer_id) for value, customer_id in rows]
