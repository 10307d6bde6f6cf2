"""Mergers, closings and splits of branches, as planned and how far they are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import DateTime, Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.branch_changes import (
    BranchChange,
    ChangeKind,
    ChangeState,
    MoveCounts,
    Planned,
)

_ADD = text(
    "INSERT INTO branch_change (branch_change_id, kind, branch_id, target_id, manager_ids, effective_date, reason,"
    " creator) VALUES (:branch_change_id, :kind, :branch_id, :target_id, CAST(:manager_ids AS text[]),"
    " :effective_date, :reason, :creator) RETURNING *"
)
_GET = "SELECT * FROM branch_change WHERE branch_change_id = :id"
# Whichever of the two branches it is.
_PENDING = text(
    "SELECT branch_change_id FROM branch_change WHERE state IN ('PLANNED', 'APPLYING')"
    " AND (branch_id = ANY (CAST(:branch_ids AS text[])) OR target_id = ANY (CAST(:branch_ids AS text[])))"
    " ORDER BY branch_change_id LIMIT 1"
)
_PAGE = text(
    "SELECT * FROM branch_change WHERE (:branch_id = '' OR :branch_id IN (branch_id, target_id))"
    " AND (:from_start OR (create_time, branch_change_id) < (:create_time, :id))"
    " ORDER BY create_time DESC, branch_change_id DESC LIMIT :limit"
).bindparams(
    bindparam("create_time", type_=DateTime(timezone=True)),
    *(bindparam(name, type_=Text) for name in ("branch_id", "id")),
    bindparam("limit", type_=Integer),
)
_DECIDE = text(
    "UPDATE branch_change SET state = :state, decider = :decider, decide_time = bank_now()"
    " WHERE branch_change_id = :id RETURNING *"
)
_COUNTED = text(
    "UPDATE branch_change SET customers_count = customers_count + :customers, united_count = united_count + :united,"
    " primary_count = primary_count + :primary, unassigned_count = unassigned_count + :unassigned,"
    " changed_rows_count = changed_rows_count + :changed_rows, staff_count = staff_count + :staff"
    " WHERE branch_change_id = :id"
)


async def add(tx: AsyncConnection, planned: Planned, creator: str) -> BranchChange:
    """Stores a plan."""
    values = {**vars(planned), "kind": planned.kind.value, "manager_ids": list(planned.manager_ids)}
    row = await tx.execute(_ADD, {**values, "branch_change_id": uuid4().hex, "creator": creator})
    return _change(row.mappings().one())


async def get(conn: AsyncConnection, branch_change_id: str, *, lock: bool = False) -> BranchChange | None:
    """One change; locked, nobody else goes on with it until the transaction ends."""
    statement = text(_GET + (" FOR UPDATE" if lock else ""))
    row = (await conn.execute(statement, {"id": branch_change_id})).mappings().one_or_none()
    return _change(row) if row else None


async def pending(tx: AsyncConnection, branch_ids: list[str]) -> str | None:
    """A change that is not over and has one of these branches on either side."""
    return (await tx.execute(_PENDING, {"branch_ids": branch_ids})).scalar_one_or_none()


async def page(
    conn: AsyncConnection, branch_id: str | None, before: tuple[datetime, str] | None, limit: int
) -> list[BranchChange]:
    """Changes, the youngest first; only those that a branch is part of."""
    values = {
        "branch_id": branch_id or "",
        "from_start": before is None,
        "create_time": before[0] if before else None,
        "id": before[1] if before else "",
        "limit": limit,
    }
    return [_change(row) for row in (await conn.execute(_PAGE, values)).mappings()]


async def decide(tx: AsyncConnection, branch_change_id: str, state: ChangeState, decider: str) -> BranchChange:
    """Says how far it is, and whose doing that was."""
    row = await tx.execute(_DECIDE, {"id": branch_change_id, "state": state.value, "decider": decider})
    return _change(row.mappings().one())


async def add_counts(tx: AsyncConnection, branch_change_id: str, counts: MoveCounts) -> None:
    """Adds what was just moved."""
    await tx.execute(_COUNTED, {"id": branch_change_id, **vars(counts)})


def _change(row: Mapping[Any, Any]) -> BranchChange:
    planned = Planned(
        kind=ChangeKind(row["kind"]),
        branch_id=row["branch_id"],
        target_id=row["target_id"],
        manager_ids=tuple(row["manager_ids"]),
        effective_date=row["effective_date"],
        reason=row["reason"],
    )
    return BranchChange(
        branch_change_id=row["branch_change_id"],
        planned=planned,
        state=ChangeState(row["state"]),
        creator=row["creator"],
        create_time=row["create_time"],
        decider=row["decider"],
        decide_time=row["decide_time"],
        counts=MoveCounts(**{name: row[f"{name}_count"] for name in vars(MoveCounts())}),
    )
