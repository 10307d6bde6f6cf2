"""Saved groups: what their owners say of them, who refers to whom, and where people stand."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, any_, delete, func, insert, literal, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.groups import (
    KEPT_AFTER_DELETION,
    Built,
    Draft,
    Group,
    GroupOrder,
    Kind,
    Place,
    Sharing,
    Whose,
)
from services.customer_svc.domain.viewing import Level, Viewer
from services.customer_svc.store.scope import texts
from services.customer_svc.store.tables import staff
from services.customer_svc.store.tables_groups import customer_groups, group_references

c = customer_groups.c
_COLUMNS: tuple[ColumnElement[Any], ...] = (
    c.group_id,
    c.owner_id,
    c.display_name,
    c.description,
    c.sharing,
    c.shared_branch_id,
    c.kind,
    c.query,
    c.refresh_nightly,
    c.version,
    c.query_version,
    c.create_time,
    c.update_time,
    c.delete_time,
    c.live_generation,
    c.least_level,
    c.least_level_of_others,
    c.member_count,
    c.last_build_time,
    c.last_build_micros,
    c.build_operation_id,
)
# Whoever changes what groups refer to holds it, so that two changes cannot make a cycle that neither sees.
_REFERENCES_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('group_references', 0))")
# UNION, not UNION ALL: a cycle would end and not spin.
_REACHED = text(
    'WITH RECURSIVE reached AS (SELECT unnest(CAST(:group_ids AS text[])) COLLATE "C" AS group_id UNION'
    " SELECT r.referred_group_id FROM group_references r JOIN reached ON r.group_id = reached.group_id)"
    " SELECT group_id FROM reached"
)
_ABOVE = text(
    'WITH RECURSIVE above AS (SELECT CAST(:branch_id AS text) COLLATE "C" AS branch_id UNION'
    " SELECT b.parent_id FROM branches b JOIN above ON b.branch_id = above.branch_id WHERE b.parent_id IS NOT NULL)"
    " SELECT branch_id, EXISTS (SELECT 1 FROM branches WHERE branch_id = :branch_id AND parent_id IS NULL) FROM above"
)


@dataclass(frozen=True)
class Owner:
    """A member of staff as followed from assignment_svc."""

    viewer: Viewer
    active_from_date: date | None
    active_until_date: date | None


@dataclass(frozen=True)
class Listed:
    """Which groups are listed to whom, and after which one: its name or time, and its id."""

    viewer: Viewer
    above: Collection[str]
    whose: Whose = Whose.ALL
    order: GroupOrder = GroupOrder.DISPLAY_NAME
    with_deleted: bool = False
    after: tuple[str | datetime, str] | None = None


async def read_place(conn: AsyncConnection, branch_id: str, below: frozenset[str]) -> Place:
    """Where somebody at a branch stands; `below` is the branch with those below it."""
    rows = (await conn.execute(_ABOVE, {"branch_id": branch_id})).all()
    return Place(frozenset(row[0] for row in rows), below, is_top=bool(rows) and rows[0][1])


async def read_owner(conn: AsyncConnection, staff_id: str) -> Owner | None:
    """Somebody as the bank knows him now; None if it does not know him any more."""
    s = staff.c
    row = (
        await conn.execute(
            select(s.branch_id, s.roles, s.active_from_date, s.active_until_date).where(s.staff_id == staff_id)
        )
    ).one_or_none()
    if row is None:
        return None
    roles = frozenset(role for role in row.roles.split(";") if role)
    return Owner(Viewer(staff_id, row.branch_id, roles), row.active_from_date, row.active_until_date)


async def add(tx: AsyncConnection, group_id: str, owner_id: str, draft: Draft) -> Group:
    """Stores a new group, without members."""
    row = await tx.execute(
        insert(customer_groups).values(group_id=group_id, owner_id=owner_id, **_said(draft)).returning(*_COLUMNS)
    )
    return _group(row.one())


async def change(tx: AsyncConnection, group_id: str, draft: Draft, *, query_changed: bool) -> Group:
    """Stores what an owner says now; another query makes a build under way give up."""
    row = await tx.execute(
        update(customer_groups)
        .where(c.group_id == group_id)
        .values(
            **_said(draft),
            version=c.version + 1,
            query_version=c.query_version + int(query_changed),
            update_time=func.bank_now(),
        )
        .returning(*_COLUMNS)
    )
    return _group(row.one())


async def count_of(conn: AsyncConnection, owner_id: str) -> int:
    """How many groups somebody has, deleted ones too."""
    return (await conn.execute(select(func.count()).where(c.owner_id == owner_id))).scalar_one()


async def find(conn: AsyncConnection, group_id: str) -> Group | None:
    """A group, deleted ones too."""
    row = (await conn.execute(select(*_COLUMNS).where(c.group_id == group_id))).one_or_none()
    return _group(row) if row else None


async def find_locked(tx: AsyncConnection, group_id: str) -> Group | None:
    """A group that nobody else changes until `tx` ends; its members may still be built."""
    row = (await tx.execute(select(*_COLUMNS).where(c.group_id == group_id).with_for_update())).one_or_none()
    return _group(row) if row else None


async def find_all(conn: AsyncConnection, group_ids: Collection[str]) -> dict[str, Group]:
    """Those of the groups that exist."""
    rows = await conn.execute(select(*_COLUMNS).where(c.group_id == any_(texts(group_ids))))
    return {row.group_id: _group(row) for row in rows}


async def page(conn: AsyncConnection, listed: Listed, limit: int) -> list[Group]:
    """The next groups that somebody sees, at most `limit`."""
    statement = select(*_COLUMNS).where(_seen(listed))
    if not listed.with_deleted:
        statement = statement.where(c.delete_time.is_(None))
    by_time = listed.order is GroupOrder.UPDATE_TIME
    place = tuple_(c.update_time if by_time else c.display_name, c.group_id)
    if listed.after is not None:
        statement = statement.where(place < listed.after if by_time else place > listed.after)
    columns = (c.update_time.desc(), c.group_id.desc()) if by_time else (c.display_name, c.group_id)
    rows = await conn.execute(statement.order_by(*columns).limit(limit))
    return [_group(row) for row in rows]


async def set_deleted(tx: AsyncConnection, group_id: str, *, deleted: bool) -> Group | None:
    """Deletes a group, or brings it back; None if its time is over."""
    in_time = c.delete_time > func.bank_now() - KEPT_AFTER_DELETION
    row = await tx.execute(
        update(customer_groups)
        .where(c.group_id == group_id, or_(c.delete_time.is_(None), in_time))
        .values(delete_time=func.bank_now() if deleted else None, version=c.version + 1, update_time=func.bank_now())
        .returning(*_COLUMNS)
    )
    changed = row.one_or_none()
    return _group(changed) if changed else None


async def set_build_operation(tx: AsyncConnection, group_id: str, operation_id: str) -> None:
    """Remembers the operation that builds a group."""
    await tx.execute(update(customer_groups).where(c.group_id == group_id).values(build_operation_id=operation_id))


async def lock_references(tx: AsyncConnection) -> None:
    """Keeps what groups refer to as it is until `tx` ends, except for `tx` itself. Take it before any group's row."""
    await tx.execute(_REFERENCES_LOCK)


async def set_references(tx: AsyncConnection, group_id: str, referred_ids: Collection[str]) -> None:
    """Makes these the groups that a group's query names."""
    r = group_references.c
    await tx.execute(delete(group_references).where(r.group_id == group_id))
    rows = [{"group_id": group_id, "referred_group_id": referred} for referred in sorted(referred_ids)]
    if rows:
        await tx.execute(insert(group_references), rows)


async def reached(conn: AsyncConnection, group_ids: Collection[str]) -> frozenset[str]:
    """These groups and all that they refer to, directly or through others."""
    rows = await conn.execute(_REACHED, {"group_ids": sorted(group_ids)})
    return frozenset(rows.scalars())


async def referring(conn: AsyncConnection, group_id: str) -> list[Group]:
    """The groups, not deleted, whose query names a group."""
    r = group_references.c
    of = select(r.group_id).where(r.referred_group_id == group_id)
    rows = await conn.execute(select(*_COLUMNS).where(c.group_id.in_(of), c.delete_time.is_(None)).order_by(c.group_id))
    return [_group(row) for row in rows]


async def due_tonight(conn: AsyncConnection, day: date) -> list[str]:
    """The groups to be built each night that were not built for this business date, those referred to first."""
    rows = await conn.execute(
        select(c.group_id).where(
            c.refresh_nightly, c.delete_time.is_(None), or_(c.built_date.is_(None), c.built_date < day)
        )
    )
    due = sorted(rows.scalars())
    r = group_references.c
    named = await conn.execute(select(r.group_id, r.referred_group_id).where(r.group_id == any_(texts(due))))
    return _referred_first(due, [tuple(pair) for pair in named])


def _referred_first(group_ids: Sequence[str], pairs: Sequence[tuple[str, ...]]) -> list[str]:
    referred: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    for group_id, other in pairs:
        if other in referred:
            referred[group_id].append(other)
    ordered: dict[str, None] = {}
    while len(ordered) < len(group_ids):
        ready = [one for one in group_ids if one not in ordered and all(other in ordered for other in referred[one])]
        assert ready, "groups refer to one another in a cycle"
        ordered.update(dict.fromkeys(ready))
    return list(ordered)


def _seen(listed: Listed) -> ColumnElement[bool]:
    mine = c.owner_id == listed.viewer.staff_id
    with_branch = and_(c.sharing == Sharing.BRANCH, c.shared_branch_id == any_(texts(listed.above)))
    everybody = literal("SERVICE" in listed.viewer.roles)
    shared = and_(~mine, c.delete_time.is_(None), or_(everybody, c.sharing == Sharing.BANK, with_branch))
    match listed.whose:
        case Whose.MINE:
            return mine
        case Whose.SHARED:
            return shared
        case Whose.ALL:
            return or_(mine, shared)


def _said(draft: Draft) -> dict[str, object]:
    return {
        "display_name": draft.display_name,
        "description": draft.description,
        "sharing": draft.sharing.value,
        "shared_branch_id": draft.shared_branch_id,
        "kind": draft.kind.value,
        "query": draft.query,
        "refresh_nightly": draft.refresh_nightly,
    }


def _group(row: Row[Any]) -> Group:
    return Group(
        row.group_id,
        row.owner_id,
        Draft(
            row.display_name,
            row.description,
            Sharing(row.sharing),
            row.shared_branch_id,
            Kind(row.kind),
            row.query,
            row.refresh_nightly,
        ),
        row.version,
        row.query_version,
        row.create_time,
        row.update_time,
        row.delete_time,
        _built(row),
        row.build_operation_id,
    )


def _built(row: Row[Any]) -> Built | None:
    if row.live_generation is None:
        return None
    took = timedelta(microseconds=row.last_build_micros)
    others = row.least_level if row.least_level_of_others is None else row.least_level_of_others
    least = (Level(row.least_level), Level(others))
    return Built(row.live_generation, *least, row.member_count, row.last_build_time, took)
