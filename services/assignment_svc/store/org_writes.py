"""Writes of branches and staff by hand. Each moves what it changes in the org feed; triggers keep history and log."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.organisation import Branch, Staff
from services.assignment_svc.store import org
from services.assignment_svc.store.tables import branch, staff

_HEAD = "BRANCH_HEAD"
_LEFT = text("""
SELECT
  (SELECT count(*) FROM owner w JOIN ownership o USING (customer_id)
    WHERE w.branch_id = :branch_id AND o.state <> 'FORMER' AND NOT o.gone) AS customers,
  (SELECT count(*) FROM staff WHERE branch_id = :branch_id AND NOT gone
    AND coalesce(active_until_date, 'infinity') > :day) AS staff,
  (SELECT count(*) FROM branch WHERE parent_id = :branch_id AND NOT gone
    AND coalesce(close_date, 'infinity') > :day) AS branches
""")
_MOVED = {"rev": text("pg_current_xact_id()"), "update_time": text("bank_now()")}
_TOUCH_BRANCHES = update(branch).where(branch.c.branch_id.in_(bindparam("ids", expanding=True))).values(**_MOVED)
_LOCK_STAFF = text(
    "SELECT staff_id FROM staff WHERE staff_id = ANY (CAST(:ids AS text[])) AND NOT gone ORDER BY staff_id FOR UPDATE"
)


@dataclass(frozen=True)
class Left:
    """What of a branch is still there after a day."""

    customers: int
    staff: int
    branches: int


async def add_branch(tx: AsyncConnection, added: Branch) -> None:
    """Stores a new branch."""
    names = ("branch_id", "display_name", "parent_id", "legal_entity", "open_date", "close_date")
    await tx.execute(insert(branch).values({name: getattr(added, name) for name in names}))


async def change_branch(tx: AsyncConnection, branch_id: str, changes: Mapping[str, Any]) -> None:
    """Stores columns of a branch."""
    await tx.execute(update(branch).where(branch.c.branch_id == branch_id).values(**changes, **_MOVED))


async def is_branch_id_used(conn: AsyncConnection, branch_id: str) -> bool:
    """Says whether there is, or was, a branch of this id."""
    return (await conn.execute(select(branch.c.branch_id).where(branch.c.branch_id == branch_id))).first() is not None


async def left_after(conn: AsyncConnection, branch_id: str, day: date) -> Left:
    """What is still at a branch after its last day."""
    row = (await conn.execute(_LEFT, {"branch_id": branch_id, "day": day})).one()
    return Left(row.customers, row.staff, row.branches)


async def all_branches(conn: AsyncConnection, limit: int) -> list[Branch]:
    """Every branch, up to a limit."""
    return await org.list_branches(conn, None, "", limit)


async def lock_staff(tx: AsyncConnection, staff_ids: Collection[str]) -> dict[str, Staff]:
    """Staff members by id, kept from other writers until `tx` ends; who does not exist is left out."""
    ids = (await tx.execute(_LOCK_STAFF, {"ids": sorted(staff_ids)})).scalars().all()
    return await org.staff_by_id(tx, ids)


async def add_staff(tx: AsyncConnection, added: Staff) -> None:
    """Stores a new staff member, without a password."""
    await tx.execute(insert(staff).values(staff_id=added.staff_id, **_columns(added)))
    await _touch_heads(tx, [(None, added)])


async def change_staff(tx: AsyncConnection, changes: Sequence[tuple[Staff, Staff]]) -> None:
    """Stores staff members (before, afterwards). Who has no login any more has no password either."""
    for _, after in changes:
        values: dict[str, Any] = {**_columns(after), **_MOVED}
        if after.login is None:
            values |= {"password_hash": None, "password_once": False}
        await tx.execute(update(staff).where(staff.c.staff_id == after.staff_id).values(**values))
    await _touch_heads(tx, changes)


async def are_staff_ids_used(conn: AsyncConnection, staff_ids: Collection[str]) -> frozenset[str]:
    """Which of these ids a staff member has, or had."""
    query = select(staff.c.staff_id).where(staff.c.staff_id.in_(staff_ids))
    return frozenset((await conn.execute(query)).scalars())


async def login_owners(conn: AsyncConnection, logins: Collection[str]) -> dict[str, str]:
    """Whose these logins are now."""
    query = select(staff.c.login, staff.c.staff_id).where(staff.c.login.in_(logins))
    return {row.login: row.staff_id for row in await conn.execute(query)}


async def _touch_heads(tx: AsyncConnection, changes: Sequence[tuple[Staff | None, Staff]]) -> None:
    """Moves in the feed the branches that had or have one of these as a head: they tell their heads."""
    led = {one.branch_id for pair in changes for one in pair if one is not None and _HEAD in one.roles}
    if led:
        await tx.execute(_TOUCH_BRANCHES, {"ids": sorted(led)})


def _columns(of: Staff) -> dict[str, Any]:
    return {
        "display_name": of.display_name,
        "branch_id": of.branch_id,
        "roles": list(of.roles),
        "login": of.login,
        "active_from_date": of.active_from_date,
        "active_until_date": of.active_until_date,
        "successor_id": of.successor_id,
    }
