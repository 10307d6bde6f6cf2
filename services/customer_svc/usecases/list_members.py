"""Members of frozen lists by hand, and of any group as a stream."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind as RefusalKind
from chassis.errors import Refused, not_found
from chassis.sql.engine import Database
from services.customer_svc.domain.groups import LIST_MEMBERS_MAX, MEMBERS_A_CALL_MAX, Built, Group, Kind, sees_group
from services.customer_svc.domain.viewing import CountScope, Reading, Viewer
from services.customer_svc.store import group_members, groups
from services.customer_svc.store.group_members import Place, SeenBy
from services.customer_svc.usecases.build_groups import kind_wrong
from services.customer_svc.usecases.keep_groups import not_yours, own_group
from services.customer_svc.usecases.refer_to_groups import read_place, unusable
from services.customer_svc.usecases.scopes import read_count_scope

CHUNK_MEMBERS = 10_000


@dataclass(frozen=True)
class Changed:
    """What became of a list: how many members it gained or lost, and the places of those who could not be taken."""

    count: int
    unknown_indexes: Sequence[int]


@dataclass(frozen=True)
class Chunk:
    """Some members; `place` is where they end. The last chunk is `complete`, or tells that the rest is gone."""

    customer_ids: Sequence[str]
    place: Place
    complete: bool = False
    rebuilt: bool = False


async def add_members(tx: AsyncConnection, group_id: str, customer_ids: Sequence[str], reading: Reading) -> Changed:
    """Adds those of the customers whom the owner sees. One who stands twice, or is a member, counts once."""
    built = await _own_list(tx, group_id, customer_ids, reading)
    reach = await _naming_reach(tx, reading.viewer)
    seen = await group_members.seen_among(tx, customer_ids, reach.scope, reading)
    added = await group_members.add(tx, group_id, built.generation, seen)
    if built.member_count + added > LIST_MEMBERS_MAX:
        raise _too_many(LIST_MEMBERS_MAX, "a list holds")
    return Changed(added, _places_without(customer_ids, seen))


async def remove_members(tx: AsyncConnection, group_id: str, customer_ids: Sequence[str], reading: Reading) -> Changed:
    """Takes customers off a list. The answer tells who was on it, so it too is only for who may name people."""
    built = await _own_list(tx, group_id, customer_ids, reading)
    await _naming_reach(tx, reading.viewer)
    removed = await group_members.remove(tx, group_id, built.generation, customer_ids)
    return Changed(len(removed), _places_without(customer_ids, removed))


async def stream_members(
    database: Database, group_id: str, reading: Reading, after: Place | None
) -> AsyncGenerator[Chunk]:
    """The members of a group, page by page: to a service all, to the owner those whom he sees.

    Between two pages it holds neither a connection nor a cursor: however slowly they are read, nobody waits.
    """
    async with database.begin() as tx:
        built, seen_by = await _readable(tx, group_id, reading)
        place = after or Place(built.generation)
        if seen_by is None and after is None:
            await group_members.note_stream(tx, reading, group_id, built.generation)
    is_first = True
    while True:
        async with database.read() as conn:
            if seen_by is None:
                ids = await group_members.page(conn, group_id, place, CHUNK_MEMBERS)
            else:
                ids = await group_members.page_seen(conn, group_id, place, seen_by, CHUNK_MEMBERS)
        if ids is None and is_first:
            message = "the group was built anew: start from the beginning"
            raise Refused(RefusalKind.CONFLICT, "GROUP_REBUILT", message)
        if ids is None:
            yield Chunk((), place, rebuilt=True)
            return
        place = Place(place.generation, ids[-1] if ids else place.after)
        is_first, is_last = False, len(ids) < CHUNK_MEMBERS
        yield Chunk(ids, place, complete=is_last)
        if is_last:
            return


async def _own_list(tx: AsyncConnection, group_id: str, customer_ids: Sequence[str], reading: Reading) -> Built:
    if len(customer_ids) > MEMBERS_A_CALL_MAX:
        raise _too_many(MEMBERS_A_CALL_MAX, "one call takes")
    group = await own_group(tx, group_id, reading.viewer)
    if group.draft.kind is not Kind.LIST:
        raise kind_wrong(group)
    if group.built is None:
        raise unusable(group_id, "GROUP_NOT_BUILT", "is still being made")
    return group.built


async def _naming_reach(tx: AsyncConnection, viewer: Viewer) -> CountScope:
    """Whom somebody sees. Refuses who sees counts only."""
    reach = await read_count_scope(tx, viewer)
    if reach.names_nobody:
        message = "customers: who sees counts only names nobody"
        raise Refused(RefusalKind.FORBIDDEN, "FIELD_FORBIDDEN", message, {"field": "customers"})
    return reach


async def _readable(conn: AsyncConnection, group_id: str, reading: Reading) -> tuple[Built, SeenBy | None]:
    """The members that count, and whom of them the viewer sees: None for all of them."""
    group = await groups.find(conn, group_id)
    viewer = reading.viewer
    if group is None or not sees_group(group, viewer, await read_place(conn, viewer)):
        raise not_found()
    reach = await read_count_scope(conn, viewer)
    if not reach.scope.everyone and (group.owner_id != viewer.staff_id or reach.names_nobody):
        raise not_yours()
    built = _usable(group)
    return built, None if reach.scope.everyone else SeenBy(reading, reach.scope, built.least)


def _usable(group: Group) -> Built:
    if group.delete_time is not None:
        raise unusable(group.group_id, "GROUP_DELETED", "was deleted")
    if group.built is None:
        raise unusable(group.group_id, "GROUP_NOT_BUILT", "was never built: build it first")
    return group.built


def _places_without(customer_ids: Sequence[str], taken: set[str]) -> list[int]:
    return [index for index, customer_id in enumerate(customer_ids) if customer_id not in taken]


def _too_many(limit: int, what: str) -> Refused:
    message = f"customers: {what} at most {limit}"
    return Refused(RefusalKind.INVALID, "MEMBERS_TOO_MANY", message, {"limit": str(limit)})
