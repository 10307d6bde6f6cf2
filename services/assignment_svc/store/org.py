"""Branches and staff, and the feed that tells of them and of ended sessions."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.tables import Xid8
from services.assignment_svc.domain.acting import OrgThing
from services.assignment_svc.domain.organisation import Branch, RevokedSession, Staff
from services.assignment_svc.store.acting_managers import acting_manager

FEED = "org"

_HEAD = """(
  SELECT h.staff_id FROM staff h
  WHERE h.branch_id = b.branch_id AND 'BRANCH_HEAD' = ANY (h.roles) AND NOT h.gone
    AND coalesce(h.active_from_date, '-infinity') <= day.today
    AND coalesce(h.active_until_date, 'infinity') >= day.today
  ORDER BY h.staff_id LIMIT 1
)"""
# The bank day whose state the data tells; before the first import, the calendar's.
_DAY = """(
  SELECT coalesce((SELECT business_date FROM business_day), (bank_now() AT TIME ZONE 'Asia/Shanghai')::date) AS today
) day"""
_BRANCH = f"""
SELECT b.branch_id, b.display_name, b.parent_id, b.legal_entity, b.open_date, b.close_date, b.update_time, b.gone,
  b.rev, {_HEAD} AS head_id
FROM branch b CROSS JOIN {_DAY}"""  # noqa: S608 - our own words
_STAFF = """
SELECT s.staff_id, s.display_name, s.branch_id, s.roles, s.login, s.active_from_date, s.active_until_date,
  s.successor_id, s.update_time, s.gone, s.rev
FROM staff s"""

_GET_BRANCH = text(f"{_BRANCH} WHERE b.branch_id = :branch_id AND NOT b.gone")
_BRANCHES_BY_ID = text(f"{_BRANCH} WHERE b.branch_id = ANY (CAST(:ids AS text[])) AND NOT b.gone")
_LIST_BRANCHES = text(
    f"{_BRANCH} WHERE b.branch_id > :after AND NOT b.gone AND (:parent_id = '' OR b.parent_id = :parent_id)"
    " ORDER BY b.branch_id LIMIT :limit"
).bindparams(bindparam("parent_id", type_=Text))
_GET_STAFF = text(f"{_STAFF} WHERE s.staff_id = :staff_id AND NOT s.gone")
_STAFF_BY_ID = text(f"{_STAFF} WHERE s.staff_id = ANY (CAST(:ids AS text[])) AND NOT s.gone")
_LIST_STAFF = text(
    f"{_STAFF} WHERE s.staff_id > :after AND NOT s.gone AND (:branch_id = '' OR s.branch_id = :branch_id)"
    " ORDER BY s.staff_id LIMIT :limit"
).bindparams(bindparam("branch_id", type_=Text))
_SUBTREE = text(
    """
WITH RECURSIVE below AS (
  SELECT branch_id FROM branch WHERE branch_id = :branch_id
  UNION SELECT c.branch_id FROM branch c JOIN below ON c.parent_id = below.branch_id
)
SELECT branch_id FROM below
"""
)
# Four kinds of things in one order, (rev, key): each is cut by its own index before they are merged.
_PART = """
(SELECT rev, '{kind}/' || {id} COLLATE "C" AS key, {thing} AS thing FROM ({source}) t
  WHERE rev >= :rev AND (rev > :rev OR '{kind}/' || {id} COLLATE "C" > :key)
    AND rev < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY rev, {id} LIMIT :limit)"""
_ENDED = "SELECT session_id, access_expire_time AS expire_time, rev FROM session WHERE ended"
_PARTS = " UNION ALL ".join(
    _PART.format(kind=kind, id=f"{kind}_id", thing="to_jsonb(t)", source=source)
    for kind, source in (
        ("acting_manager", "SELECT * FROM acting_manager"),
        ("branch", _BRANCH),
        ("session", _ENDED),
        ("staff", _STAFF),
    )
)
_PAGE = text(
    f"SELECT * FROM ({_PARTS}) things ORDER BY rev, key LIMIT :limit"  # noqa: S608 - our own words
).bindparams(bindparam("rev", type_=Xid8), bindparam("key", type_=Text), bindparam("limit", type_=Integer))


async def get_branch(conn: AsyncConnection, branch_id: str) -> Branch | None:
    """One branch."""
    row = (await conn.execute(_GET_BRANCH, {"branch_id": branch_id})).mappings().one_or_none()
    return _branch(row) if row else None


async def list_branches(conn: AsyncConnection, parent_id: str | None, after: str, limit: int) -> list[Branch]:
    """Branches by id, from `after` on; only those directly below a parent if one is given."""
    rows = await conn.execute(_LIST_BRANCHES, {"parent_id": parent_id or "", "after": after, "limit": limit})
    return [_branch(row) for row in rows.mappings()]


async def branches_by_id(conn: AsyncConnection, branch_ids: Sequence[str]) -> dict[str, Branch]:
    """Branches by their ids; one that does not exist is left out."""
    rows = await conn.execute(_BRANCHES_BY_ID, {"ids": list(branch_ids)})
    return {row["branch_id"]: _branch(row) for row in rows.mappings()}


async def get_staff(conn: AsyncConnection, staff_id: str) -> Staff | None:
    """One staff member."""
    row = (await conn.execute(_GET_STAFF, {"staff_id": staff_id})).mappings().one_or_none()
    return _staff(row) if row else None


async def staff_by_id(conn: AsyncConnection, staff_ids: Sequence[str]) -> dict[str, Staff]:
    """Staff members by their ids; who does not exist is left out."""
    rows = await conn.execute(_STAFF_BY_ID, {"ids": list(staff_ids)})
    return {row["staff_id"]: _staff(row) for row in rows.mappings()}


async def list_staff(conn: AsyncConnection, branch_id: str | None, after: str, limit: int) -> list[Staff]:
    """Staff by id, from `after` on; only those of a branch if one is given."""
    rows = await conn.execute(_LIST_STAFF, {"branch_id": branch_id or "", "after": after, "limit": limit})
    return [_staff(row) for row in rows.mappings()]


async def subtree(conn: AsyncConnection, branch_id: str) -> frozenset[str]:
    """A branch with all branches below it; one that is not known stands alone."""
    rows = await conn.execute(_SUBTREE, {"branch_id": branch_id})
    return frozenset(rows.scalars()) | {branch_id}


async def parents(conn: AsyncConnection) -> dict[str, str | None]:
    """Every branch with the one above it."""
    rows = await conn.execute(text("SELECT branch_id, parent_id FROM branch"))
    return {row.branch_id: row.parent_id for row in rows}


async def read_page(conn: AsyncConnection, rev: int, key: str, limit: int) -> Sequence[tuple[int, str, OrgThing]]:
    """What changed after a place in the feed; one statement, since two would see two states."""
    rows = await conn.execute(_PAGE, {"rev": rev, "key": key, "limit": limit})
    return [(row.rev, row.key, _thing(row.key, row.thing)) for row in rows]


def _thing(key: str, thing: dict[str, Any]) -> OrgThing:
    for name, value in thing.items():
        if value is not None and name.endswith("_date"):
            thing[name] = date.fromisoformat(value)
        if value is not None and name.endswith("_time"):
            thing[name] = datetime.fromisoformat(value)
    if key.startswith("acting_manager/"):
        return acting_manager(thing)
    if key.startswith("branch/"):
        return _branch(thing)
    if key.startswith("staff/"):
        return _staff(thing)
    return RevokedSession(thing["session_id"], thing["expire_time"])


def _branch(row: Mapping[Any, Any]) -> Branch:
    return Branch(
        branch_id=row["branch_id"],
        display_name=row["display_name"],
        parent_id=row["parent_id"],
        legal_entity=row["legal_entity"],
        open_date=row["open_date"],
        close_date=row["close_date"],
        head_id=row["head_id"],
        update_time=row["update_time"],
        gone=row["gone"],
        rev=int(row["rev"]),
    )


def _staff(row: Mapping[Any, Any]) -> Staff:
    return Staff(
        staff_id=row["staff_id"],
        display_name=row["display_name"],
        branch_id=row["branch_id"],
        roles=tuple(row["roles"]),
        login=row["login"],
        active_from_date=row["active_from_date"],
        active_until_date=row["active_until_date"],
        successor_id=row["successor_id"],
        update_time=row["update_time"],
        gone=row["gone"],
        rev=int(row["rev"]),
    )
