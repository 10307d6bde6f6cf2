"""Pages of visits, as far as somebody may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.visit_views import Opening, Reach, Sides
from services.assignment_svc.domain.visits import Visit, VisitState
from services.assignment_svc.store.tables import owner
from services.assignment_svc.store.tables_private_managers import private_manager
from services.assignment_svc.store.tables_visits import visit
from services.assignment_svc.store.visits import visit_of

_c = visit.c


@dataclass(frozen=True)
class Wanted:
    """Which visits to list; what is not given does not confine them. The last of the page before comes last."""

    branch_id: str | None = None
    staff_id: str | None = None
    state: VisitState | None = None
    from_date: date | None = None
    until_date: date | None = None
    with_withdrawn: bool = False
    before: tuple[date, str] | None = None


async def of_customer(
    conn: AsyncConnection, customer_id: str, sides: Sides, wanted: Wanted, limit: int
) -> Sequence[Visit]:
    """A customer's visits that are seen from there, the youngest first."""
    conditions = [_c.customer_id == customer_id]
    if sides.branch_ids is not None:
        conditions.append(_c.branch_id.in_(sides.branch_ids))
    knows = _knows(sides.viewer_id, sides.supervised)
    conditions.append(or_(_c.withdraw_time.is_(None), knows))
    if wanted.state is not None:
        conditions.append(knows)
    return await _page(conn, select(visit).where(*conditions), wanted, limit)


async def of_reach(conn: AsyncConnection, reach: Reach, wanted: Wanted, limit: int) -> Sequence[Visit]:
    """The visits that somebody made or supervises, of customers whom he sees now, the youngest first."""
    not_near = _c.customer_id.not_in(reach.near | {reach.viewer_id})
    conditions = (_knows(reach.viewer_id, reach.supervised), not_near, _opened(reach.openings))
    return await _page(conn, select(visit).where(*conditions), wanted, limit)


async def _page(conn: AsyncConnection, query: Select[Any], wanted: Wanted, limit: int) -> Sequence[Visit]:
    if wanted.branch_id is not None:
        query = query.where(_c.branch_id == wanted.branch_id)
    if wanted.staff_id is not None:
        query = query.where(_c.staff_id == wanted.staff_id)
    if wanted.state is not None:
        query = query.where(_c.state == wanted.state)
    if wanted.from_date is not None:
        query = query.where(_c.visit_date >= wanted.from_date)
    if wanted.until_date is not None:
        query = query.where(_c.visit_date <= wanted.until_date)
    if not wanted.with_withdrawn:
        query = query.where(_c.withdraw_time.is_(None))
    if wanted.before is not None:
        query = query.where(tuple_(_c.visit_date, _c.visit_id) < wanted.before)
    query = query.order_by(_c.visit_date.desc(), _c.visit_id.desc()).limit(limit)
    return [visit_of(row) for row in await conn.execute(query)]


def _knows(viewer_id: str, supervised: frozenset[str]) -> ColumnElement[bool]:
    """Author or supervisor."""
    return or_(_c.staff_id == viewer_id, _c.branch_id.in_(supervised))


def _opened(openings: Sequence[Opening]) -> ColumnElement[bool]:
    """Some row of the customer is opened by one of them."""
    rows = [_opens(opening) for opening in openings]
    return exists().where(owner.c.customer_id == _c.customer_id, or_(false(), *rows))


def _opens(opening: Opening) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = []
    if opening.branch_ids is not None:
        parts.append(owner.c.branch_id.in_(opening.branch_ids))
    if opening.manager_id is not None:
        parts.append(owner.c.manager_id == opening.manager_id)
    if opening.private_manager_id is not None:
        parts.append(owner.c.side == "PRIMARY")
        mine = private_manager.c.staff_id == opening.private_manager_id
        parts.append(exists().where(private_manager.c.customer_id == owner.c.customer_id, mine))
    return and_(*parts)
