"""Members of groups: added and removed by hand, built from a query some at a time, read page by page, and cleared away.

Members belong to a generation. A build fills one that nobody reads yet, and makes it the live one at its end; a
generation that was replaced stays for an hour, for those who are still reading it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import ARRAY, ColumnElement, Select, Text, any_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.audit import AuditEntry, audit, audit_read_cte
from services.customer_svc.domain.groups import KEPT_AFTER_DELETION
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.store.scope import opened_somewhere, texts
from services.customer_svc.store.tables import CHASSIS, customers
from services.customer_svc.store.tables_groups import customer_groups, group_generations_ended, group_members

GENERATION_KEPT = timedelta(hours=1)
_CLEARED_A_COMMIT = 20_000

_ADD = text(
    "INSERT INTO group_members (customer_id, group_id, generation)"
    " SELECT DISTINCT id, :group_id, CAST(:generation AS integer) FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id"
    " ON CONFLICT DO NOTHING RETURNING 1"
)
_REMOVE = text(
    "DELETE FROM group_members WHERE customer_id = ANY(CAST(:ids AS text[])) AND group_id = :group_id"
    " AND generation = :generation RETURNING customer_id"
)
_COUNT = text(
    "UPDATE customer_groups SET member_count = member_count + :more, last_build_time = bank_now(),"
    " last_build_micros = 0, update_time = bank_now(), version = version + 1 WHERE group_id = :group_id"
)
_OPEN_LIST = text(
    "UPDATE customer_groups SET live_generation = 1, build_generation = 1, least_level = :least, member_count = 0,"
    " last_build_time = bank_now(), last_build_micros = 0 WHERE group_id = :group_id"
)
_CLEAR = text(
    "WITH over AS (SELECT m.customer_id, m.group_id, m.generation FROM group_members m WHERE m.group_id = :group_id"
    " AND m.generation = :generation ORDER BY m.customer_id LIMIT :limit) DELETE FROM group_members m USING over"
    " WHERE m.customer_id = over.customer_id AND m.group_id = over.group_id AND m.generation = over.generation"
)
_OVER = text(
    "SELECT group_id, generation FROM group_generations_ended WHERE end_time < bank_now() - CAST(:kept AS interval)"
    " ORDER BY group_id, generation LIMIT 1000"
)
_FORGET_GENERATION = text("DELETE FROM group_generations_ended WHERE group_id = :group_id AND generation = :generation")
_EXPIRED = text(
    "SELECT group_id FROM customer_groups WHERE delete_time < bank_now() - CAST(:kept AS interval) LIMIT 100"
)
_GENERATIONS = text("SELECT DISTINCT generation FROM group_members WHERE group_id = :group_id")
_FORGET_GROUP = (
    text("DELETE FROM group_references WHERE group_id = :group_id"),
    text("DELETE FROM group_generations_ended WHERE group_id = :group_id"),
    text("DELETE FROM customer_groups WHERE group_id = :group_id AND delete_time IS NOT NULL"),
)


@dataclass(frozen=True)
class Place:
    """Where a reader of members is."""

    generation: int
    after: str = ""


@dataclass(frozen=True)
class SeenBy:
    """Who reads members, whom of them he sees, and at what level he must."""

    reading: Reading
    scope: Scope
    least: Level


async def open_list(tx: AsyncConnection, group_id: str) -> None:
    """Makes a new list ready for members; that they are in it tells nothing of them."""
    await tx.execute(_OPEN_LIST, {"group_id": group_id, "least": int(Level.EXISTENCE)})


async def seen_among(tx: AsyncConnection, customer_ids: Collection[str], scope: Scope, reading: Reading) -> set[str]:
    """Those of the customers whom a viewer knows to exist; each is noted as read."""
    which = customers.c.customer_id == any_(texts(set(customer_ids)))
    seen = (
        select(customers.c.customer_id)
        .where(which, ~customers.c.gone, opened_somewhere(scope, Level.EXISTENCE))
        .cte("seen")
    )
    noted = audit_read_cte(CHASSIS.audit, _entry(reading), seen)
    return set((await tx.execute(select(seen.c.customer_id).add_cte(noted))).scalars())


async def add(tx: AsyncConnection, group_id: str, generation: int, customer_ids: Collection[str]) -> int:
    """Adds members and says how many there are more."""
    values = {"group_id": group_id, "generation": generation, "ids": sorted(customer_ids)}
    added = len((await tx.execute(_ADD, values)).all())
    if added:
        await tx.execute(_COUNT, {"group_id": group_id, "more": added})
    return added


async def remove(tx: AsyncConnection, group_id: str, generation: int, customer_ids: Collection[str]) -> set[str]:
    """Removes members and says who is none any more."""
    values = {"group_id": group_id, "generation": generation, "ids": sorted(customer_ids)}
    removed = set((await tx.execute(_REMOVE, values)).scalars())
    if removed:
        await tx.execute(_COUNT, {"group_id": group_id, "more": -len(removed)})
    return removed


async def note_stream(tx: AsyncConnection, reading: Reading, group_id: str, generation: int) -> None:
    """Notes that somebody was given all members of a group."""
    detail = {"group": group_id, "generation": str(generation)}
    await audit(tx, [replace(_entry(reading), detail=detail)])


async def page(conn: AsyncConnection, group_id: str, place: Place, limit: int) -> Sequence[str] | None:
    """The next members of a generation, at most `limit`; None if the generation is not kept any more."""
    m = group_members.c
    ids = (
        select(m.customer_id)
        .where(m.group_id == group_id, m.generation == place.generation, m.customer_id > place.after)
        .order_by(m.customer_id)
        .limit(limit)
    )
    found = select(_array(ids)).where(_kept(group_id, place.generation))
    return (await conn.execute(found)).scalar_one_or_none()


async def page_seen(conn: AsyncConnection, group_id: str, place: Place, by: SeenBy, limit: int) -> Sequence[str] | None:
    """As `page`, of the members whom a viewer sees at a level; each is noted as read."""
    m = group_members.c
    seen = (
        select(m.customer_id)
        .join(customers, customers.c.customer_id == m.customer_id)
        .where(m.group_id == group_id, m.generation == place.generation, m.customer_id > place.after)
        .where(~customers.c.gone, opened_somewhere(by.scope, by.least), _kept(group_id, place.generation))
        .order_by(m.customer_id)
        .limit(limit)
        .cte("seen")
    )
    noted = audit_read_cte(CHASSIS.audit, _entry(by.reading), seen)
    ids = select(seen.c.customer_id).order_by(seen.c.customer_id)
    found = select(_array(ids)).where(_kept(group_id, place.generation)).add_cte(noted)
    return (await conn.execute(found)).scalar_one_or_none()


async def generations_over(conn: AsyncConnection) -> list[tuple[str, int]]:
    """Generations, by group, that nobody reads any more; some at a time."""
    rows = await conn.execute(_OVER, {"kept": GENERATION_KEPT})
    return [(group_id, generation) for group_id, generation in rows]


async def clear_some(tx: AsyncConnection, group_id: str, generation: int) -> bool:
    """Deletes some members of a generation; says whether those were the last, and forgets it then."""
    values = {"group_id": group_id, "generation": generation}
    cleared = (await tx.execute(_CLEAR, {**values, "limit": _CLEARED_A_COMMIT})).rowcount
    if cleared == _CLEARED_A_COMMIT:
        return False
    await tx.execute(_FORGET_GENERATION, values)
    return True


async def groups_expired(conn: AsyncConnection) -> list[str]:
    """Groups that were deleted too long ago to come back; some at a time."""
    return list((await conn.execute(_EXPIRED, {"kept": KEPT_AFTER_DELETION})).scalars())


async def generations_of(conn: AsyncConnection, group_id: str) -> list[int]:
    """The generations of a group that have members."""
    return list((await conn.execute(_GENERATIONS, {"group_id": group_id})).scalars())


async def forget_group(tx: AsyncConnection, group_id: str) -> None:
    """Forgets a deleted group, whose members were cleared away."""
    for statement in _FORGET_GROUP:
        await tx.execute(statement, {"group_id": group_id})


def _array(ids: Select[str]) -> ColumnElement[Sequence[str]]:
    """Many ids as one value: rows of one text each would cost three times as much."""
    return func.array(ids.scalar_subquery(), type_=ARRAY(Text))


def _kept(group_id: str, generation: int) -> ColumnElement[bool]:
    """Says whether a generation may still be read."""
    g, e = customer_groups.c, group_generations_ended.c
    live = select(1).where(g.group_id == group_id, g.delete_time.is_(None), g.live_generation == generation).exists()
    ended = (
        select(1)
        .where(e.group_id == group_id, e.generation == generation, e.end_time > func.bank_now() - GENERATION_KEPT)
        .exists()
    )
    return or_(live, ended)


def _entry(reading: Reading) -> AuditEntry:
    return AuditEntry(reading.viewer.staff_id, reading.viewer.branch_id, reading.request_id, reading.method)
