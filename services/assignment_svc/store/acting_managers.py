"""Who covers whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

from sqlalchemy import Date, Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.acting import LEFT, ActingManager, Arranged, Covered

_COLUMNS = (
    "acting_manager_id, branch_id, acting_id, covered_id, role, from_date, until_date, reason, creator, create_time,"
    " end_time, end_actor, end_reason, over"
)
_ADD = text(
    f"INSERT INTO acting_manager (acting_manager_id, branch_id, acting_id, covered_id, role, from_date, until_date,"  # noqa: S608 -- our own names
    " reason, creator) VALUES (:acting_manager_id, :branch_id, :acting_id, :covered_id, :role, :from_date, :until_date,"
    f" :reason, :creator) RETURNING {_COLUMNS}"
)
_LOCK_COVERED = text("SELECT FROM staff WHERE staff_id = :staff_id FOR NO KEY UPDATE")
_STANDING = text(f"SELECT {_COLUMNS} FROM acting_manager WHERE covered_id = :covered_id AND role = :role AND NOT over")  # noqa: S608 -- our own names
_GET = text(
    f"SELECT {_COLUMNS} FROM acting_manager WHERE acting_manager_id = :id AND branch_id = :branch_id"  # noqa: S608 -- our own names
    " FOR UPDATE"
)
_END = text(
    "UPDATE acting_manager SET over = true, end_time = bank_now(), end_actor = :actor, end_reason = :reason,"  # noqa: S608 -- our own names
    f" rev = pg_current_xact_id() WHERE acting_manager_id = :id RETURNING {_COLUMNS}"
)
_PAGE = text(
    f"SELECT {_COLUMNS} FROM acting_manager WHERE branch_id = :branch_id AND (NOT :current OR NOT over)"  # noqa: S608 -- our own names
    " AND (:staff_id = '' OR :staff_id IN (acting_id, covered_id))"
    " AND (:from_start OR (from_date, acting_manager_id) < (:from_date, :id))"
    " ORDER BY from_date DESC, acting_manager_id DESC LIMIT :limit"
).bindparams(
    *(bindparam(name, type_=Text) for name in ("branch_id", "staff_id", "id")),
    bindparam("from_date", type_=Date),
    bindparam("limit", type_=Integer),
)
_COVERED = text(
    "SELECT a.covered_id, a.role, a.branch_id, CASE WHEN a.role = 'BRANCH_HEAD' THEN ARRAY("
    " WITH RECURSIVE below AS (SELECT a.branch_id UNION"
    "  SELECT c.branch_id FROM branch c JOIN below ON c.parent_id = below.branch_id) SELECT branch_id FROM below"
    ") ELSE '{}' END AS subtree FROM acting_manager a WHERE a.acting_id = :staff_id AND NOT a.over"
    " AND (bank_now() AT TIME ZONE 'Asia/Shanghai')::date BETWEEN a.from_date AND a.until_date"
)
_CLOSE_PAST = text(
    "UPDATE acting_manager SET over = true, rev = pg_current_xact_id() WHERE NOT over"
    " AND until_date < (bank_now() AT TIME ZONE 'Asia/Shanghai')::date"
)
# Whoever no longer has the role on a day that was arranged, or not at that branch, covers or is covered no more.
_END_UNFOUNDED = text("""
UPDATE acting_manager a SET over = true, end_time = bank_now(), end_actor = :actor, end_reason = :reason,
  rev = pg_current_xact_id()
FROM (SELECT (bank_now() AT TIME ZONE 'Asia/Shanghai')::date AS today) t
WHERE NOT a.over AND (
  SELECT count(*) FROM staff s
  WHERE NOT s.gone AND a.role = ANY (s.roles)
    AND (s.staff_id = a.acting_id OR (s.staff_id = a.covered_id AND s.branch_id = a.branch_id))
    AND coalesce(s.active_from_date, '-infinity') <= greatest(a.from_date, t.today)
    AND coalesce(s.active_until_date, 'infinity') >= greatest(a.from_date, t.today)
) < 2
""")


@dataclass(frozen=True)
class Listed:
    """Which of a branch to list, from where on: those that are not over, those that a staff member is part of."""

    branch_id: str
    current: bool
    after: tuple[date, str] | None
    staff_id: str | None = None


async def lock_covered(tx: AsyncConnection, staff_id: str) -> None:
    """Lets nobody else arrange who covers this colleague until `tx` ends."""
    await tx.execute(_LOCK_COVERED, {"staff_id": staff_id})


async def standing(tx: AsyncConnection, covered_id: str, role: str) -> list[ActingManager]:
    """Who covers a colleague's role, or will."""
    rows = await tx.execute(_STANDING, {"covered_id": covered_id, "role": role})
    return [acting_manager(row) for row in rows.mappings()]


async def add(tx: AsyncConnection, arranged: Arranged, creator: str) -> ActingManager:
    """Stores it."""
    values = {"acting_manager_id": uuid4().hex, "creator": creator, **vars(arranged)}
    return acting_manager((await tx.execute(_ADD, values)).mappings().one())


async def get_locked(tx: AsyncConnection, branch_id: str, acting_manager_id: str) -> ActingManager | None:
    """One of a branch, which nobody else changes until `tx` ends."""
    row = (await tx.execute(_GET, {"branch_id": branch_id, "id": acting_manager_id})).mappings().one_or_none()
    return acting_manager(row) if row else None


async def end(tx: AsyncConnection, acting_manager_id: str, actor: str, reason: str) -> ActingManager:
    """Ends it now."""
    values = {"id": acting_manager_id, "actor": actor, "reason": reason}
    return acting_manager((await tx.execute(_END, values)).mappings().one())


async def page(conn: AsyncConnection, listed: Listed, limit: int) -> list[ActingManager]:
    """Those that are wanted, the latest first day first."""
    after = listed.after
    values = {
        "branch_id": listed.branch_id,
        "staff_id": listed.staff_id or "",
        "current": listed.current,
        "from_start": after is None,
        "from_date": after[0] if after else date.max,
        "id": after[1] if after else "",
        "limit": limit,
    }
    return [acting_manager(row) for row in (await conn.execute(_PAGE, values)).mappings()]


async def covered(conn: AsyncConnection, staff_id: str) -> Sequence[Covered]:
    """The colleagues' roles that a staff member covers today."""
    rows = await conn.execute(_COVERED, {"staff_id": staff_id})
    return [Covered(row.covered_id, row.role, row.branch_id, frozenset(row.subtree)) for row in rows]


async def close_past(tx: AsyncConnection) -> None:
    """Tells followers of those whose last day has passed, and ends those for whom the ground is gone."""
    await tx.execute(_CLOSE_PAST)
    await tx.execute(_END_UNFOUNDED, {"actor": LEFT, "reason": "one of the two is not active with the role"})


def acting_manager(row: Mapping[Any, Any]) -> ActingManager:
    """A row as what it tells of."""
    arranged = Arranged(
        branch_id=row["branch_id"],
        acting_id=row["acting_id"],
        covered_id=row["covered_id"],
        role=row["role"],
        from_date=row["from_date"],
        until_date=row["until_date"],
        reason=row["reason"],
    )
    return ActingManager(
        acting_manager_id=row["acting_manager_id"],
        arranged=arranged,
        creator=row["creator"],
        create_time=row["create_time"],
        end_time=row["end_time"],
        end_actor=row["end_actor"],
        end_reason=row["end_reason"],
        over=row["over"],
    )
