"""Days on which staff are away."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store.tables_org_changes import staff_leave


class LeaveState(StrEnum):
    """Where a leave stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class LeaveDraft:
    """A leave as it is asked for, both days included."""

    staff_id: str
    kind: str
    from_date: date
    until_date: date
    substitute_id: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Leave:
    """A leave; `branch_id` is where the staff member worked when it was asked for."""

    leave_id: str
    draft: LeaveDraft
    branch_id: str
    state: LeaveState
    creator: str
    create_time: datetime
    decider: str | None
    decide_time: datetime | None
    decide_reason: str


@dataclass(frozen=True)
class Wanted:
    """Which leaves: those of one's own, or of a staff member at these branches (None: any), with some of these days."""

    own_id: str
    branch_ids: Collection[str] | None
    branch_id: str | None = None
    staff_id: str | None = None
    from_date: date | None = None
    until_date: date | None = None
    with_cancelled: bool = False


async def add_leave(tx: AsyncConnection, draft: LeaveDraft, branch_id: str, creator: str) -> Leave:
    """Stores a leave that is asked for."""
    values = {**vars(draft), "leave_id": uuid.uuid4().hex, "branch_id": branch_id, "creator": creator}
    row = (await tx.execute(insert(staff_leave).values(**values).returning(staff_leave))).one()
    return _leave(row)


async def get_leave(conn: AsyncConnection, leave_id: str, *, lock: bool = False) -> Leave | None:
    """One leave; locked, nobody else decides on it until the transaction ends."""
    query = select(staff_leave).where(staff_leave.c.leave_id == leave_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _leave(row) if row else None


async def overlapping(conn: AsyncConnection, staff_id: str, from_date: date, until_date: date) -> str | None:
    """A leave of a staff member, not cancelled, that has some of these days."""
    query = (
        select(staff_leave.c.leave_id)
        .where(
            staff_leave.c.staff_id == staff_id,
            staff_leave.c.state != LeaveState.CANCELLED.value,
            staff_leave.c.from_date <= until_date,
            staff_leave.c.until_date >= from_date,
        )
        .order_by(staff_leave.c.from_date)
        .limit(1)
    )
    return (await conn.execute(query)).scalar_one_or_none()


async def approved_on(conn: AsyncConnection, staff_ids: Collection[str], day: date) -> dict[str, Leave]:
    """Who of these is away on a day, by an approved leave."""
    query = select(staff_leave).where(
        staff_leave.c.staff_id.in_(staff_ids),
        staff_leave.c.state == LeaveState.APPROVED.value,
        staff_leave.c.from_date <= day,
        staff_leave.c.until_date >= day,
    )
    return {row.staff_id: _leave(row) for row in await conn.execute(query)}


@dataclass(frozen=True)
class Decision:
    """What somebody decided about a leave, and which day is its last by that."""

    state: LeaveState
    decider: str
    reason: str
    until_date: date


async def decide(tx: AsyncConnection, leave_id: str, decision: Decision) -> Leave:
    """Stores what was decided about a leave."""
    query = (
        update(staff_leave)
        .where(staff_leave.c.leave_id == leave_id)
        .values(
            state=decision.state.value,
            decider=decision.decider,
            decide_time=text("bank_now()"),
            decide_reason=decision.reason,
            until_date=decision.until_date,
        )
        .returning(staff_leave)
    )
    return _leave((await tx.execute(query)).one())


async def list_leaves(
    conn: AsyncConnection, wanted: Wanted, after: tuple[date, str] | None, limit: int
) -> Sequence[Leave]:
    """Leaves by their first day and id."""
    table = staff_leave.c
    query = select(staff_leave)
    if wanted.branch_ids is not None:
        query = query.where(or_(table.staff_id == wanted.own_id, table.branch_id.in_(wanted.branch_ids)))
    if wanted.branch_id is not None:
        query = query.where(table.branch_id == wanted.branch_id)
    if wanted.staff_id is not None:
        query = query.where(table.staff_id == wanted.staff_id)
    if wanted.from_date is not None:
        query = query.where(table.until_date >= wanted.from_date)
    if wanted.until_date is not None:
        query = query.where(table.from_date <= wanted.until_date)
    if not wanted.with_cancelled:
        query = query.where(table.state != LeaveState.CANCELLED.value)
    if after is not None:
        query = query.where(tuple_(table.from_date, table.leave_id) > after)
    rows = await conn.execute(query.order_by(table.from_date, table.leave_id).limit(limit))
    return [_leave(row) for row in rows]


def _leave(row: Row[Any]) -> Leave:
    return Leave(
        row.leave_id,
        LeaveDraft(row.staff_id, row.kind, row.from_date, row.until_date, row.substitute_id, row.note),
        row.branch_id,
        LeaveState(row.state),
        row.creator,
        row.create_time,
        row.decider,
        row.decide_time,
        row.decide_reason or "",
    )
