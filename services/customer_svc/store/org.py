"""Branches, staff and revoked sessions, as followed from assignment_svc."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.acting import Acting
from chassis.sql.acting_managers import covered_today, drop_acting, put_acting
from chassis.sql.rows import put_rows
from services.customer_svc.domain.org import Branch, Gone, OrgItem, RevokedSession, Staff
from services.customer_svc.domain.viewing import Covered
from services.customer_svc.store.tables import acting_managers, branches, revoked_sessions, staff

# UNION, not UNION ALL: a cycle, which the source refuses, would end and not spin.
_SUBTREE = text(
    'WITH RECURSIVE below AS (SELECT CAST(:branch_id AS text) COLLATE "C" AS branch_id UNION'
    " SELECT b.branch_id FROM branches b JOIN below ON b.parent_id = below.branch_id) SELECT branch_id FROM below"
)
_REVOKED = text("SELECT session_id, expire_time FROM revoked_sessions WHERE expire_time > bank_now()")
_FORGET = text("DELETE FROM revoked_sessions WHERE expire_time < bank_now() - interval '1 hour'")


async def put_org(tx: AsyncConnection, items: Sequence[OrgItem], generation: int) -> None:
    """Stores each item as it is now."""
    gone = [item for item in items if isinstance(item, Gone)]
    if gone:
        values = {"branch_ids": [item.branch_id for item in gone], "staff_ids": [item.staff_id for item in gone]}
        await tx.execute(text("DELETE FROM branches WHERE branch_id = ANY(CAST(:branch_ids AS text[]))"), values)
        await tx.execute(text("DELETE FROM staff WHERE staff_id = ANY(CAST(:staff_ids AS text[]))"), values)
    await put_rows(tx, branches, [_branch_row(item, generation) for item in items if isinstance(item, Branch)])
    await put_rows(tx, staff, [_staff_row(item, generation) for item in items if isinstance(item, Staff)])
    await put_acting(tx, acting_managers, [item for item in items if isinstance(item, Acting)], generation)
    sessions = [item for item in items if isinstance(item, RevokedSession)]
    await put_rows(tx, revoked_sessions, [_session_row(item, generation) for item in sessions])


async def drop_older(tx: AsyncConnection, generation: int) -> None:
    """Deletes what a new start of the feed did not repeat; revoked sessions stay until they expire."""
    for table in (branches, staff):
        await tx.execute(table.delete().where(table.c.generation < generation))
    await drop_acting(tx, generation)


async def subtree(conn: AsyncConnection, branch_id: str) -> frozenset[str]:
    """A branch with all branches below it; one that is not known yet stands alone."""
    rows = await conn.execute(_SUBTREE, {"branch_id": branch_id})
    return frozenset(rows.scalars())


async def covered(conn: AsyncConnection, staff_id: str) -> list[Covered]:
    """The colleagues' roles that a staff member covers today."""
    return [Covered(**vars(role)) for role in await covered_today(conn, staff_id, subtree)]


async def read_revoked(conn: AsyncConnection) -> list[RevokedSession]:
    """Sessions whose tokens nobody may take any more, though they have not expired."""
    rows = await conn.execute(_REVOKED)
    return [RevokedSession(session_id, expire_time) for session_id, expire_time in rows]


async def forget_expired(tx: AsyncConnection) -> None:
    """Deletes revoked sessions whose tokens expired anyway."""
    await tx.execute(_FORGET)


def _branch_row(item: Branch, generation: int) -> dict[str, object]:
    return {
        "branch_id": item.branch_id,
        "parent_id": item.parent_id,
        "display_name": item.display_name,
        "generation": generation,
    }


def _staff_row(item: Staff, generation: int) -> dict[str, object]:
    return {
        "staff_id": item.staff_id,
        "branch_id": item.branch_id,
        "display_name": item.display_name,
        "roles": ";".join(sorted(item.roles)),
        "active_from_date": item.active_from_date,
        "active_until_date": item.active_until_date,
        "generation": generation,
    }


def _session_row(item: RevokedSession, generation: int) -> dict[str, object]:
    return {"session_id": item.session_id, "expire_time": item.expire_time, "generation": generation}
