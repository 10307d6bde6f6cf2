"""Saved groups as their owners keep them: create, show, list, change, delete and bring back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind as RefusalKind
from chassis.errors import Refused, Violation, invalid_field, invalid_fields, not_found
from services.customer_svc.domain import counts
from services.customer_svc.domain.conditions import IdentityCondition
from services.customer_svc.domain.groups import (
    GROUPS_OF_ONE_MAX,
    Draft,
    Group,
    Kind,
    Place,
    closes_cycle,
    draft_faults,
    sees_group,
    told_count,
)
from services.customer_svc.domain.query import Query, single_paths
from services.customer_svc.domain.reach import naming_fields
from services.customer_svc.domain.viewing import CountScope, Viewer
from services.customer_svc.store import group_members, groups
from services.customer_svc.store.groups import Listed
from services.customer_svc.usecases.ask_query import ask
from services.customer_svc.usecases.build_groups import ReadQuery, ask_as_owner, kind_wrong
from services.customer_svc.usecases.refer_to_groups import named_groups, read_place, unusable
from services.customer_svc.usecases.scopes import read_count_scope

_FIELD = "customer_group."


@dataclass(frozen=True)
class Shown:
    """A group as one viewer sees it: without the query if that names people, without the number if it is not his."""

    group: Group
    query: bytes | None
    count: counts.Told | None


@dataclass(frozen=True)
class Change:
    """What an owner changes: fields of the draft, and its query if that is among them, read to be checked."""

    fields: Mapping[str, Any]
    query: Query | None
    etag: str = ""


async def create_group(tx: AsyncConnection, draft: Draft, query: Query | None, viewer: Viewer) -> Group:
    """Stores a new group. A list is ready for members, unless it is to be made from a query."""
    _check(draft, viewer, await read_place(tx, viewer))
    if await groups.count_of(tx, viewer.staff_id) >= GROUPS_OF_ONE_MAX:
        told = {"limit": str(GROUPS_OF_ONE_MAX)}
        raise Refused(RefusalKind.EXHAUSTED, "GROUPS_TOO_MANY", f"nobody has more than {GROUPS_OF_ONE_MAX}", told)
    referred = named_groups(query.conditions) if query else frozenset[str]()
    if referred:
        await groups.lock_references(tx)
    if query is not None:
        await _refuse_query(tx, query, viewer)
    group = await groups.add(tx, str(uuid4()), viewer.staff_id, draft)
    await groups.set_references(tx, group.group_id, referred)
    if query is None:
        await group_members.open_list(tx, group.group_id)
    return group


async def get_group(conn: AsyncConnection, group_id: str, viewer: Viewer, read_query: ReadQuery) -> Shown:
    """A group that the viewer sees. Refuses with NOT_FOUND if it is absent or hidden."""
    group = await _seen(conn, await groups.find(conn, group_id), viewer)
    return show(group, viewer, await read_count_scope(conn, viewer), read_query)


async def list_groups(conn: AsyncConnection, listed: Listed, limit: int, read_query: ReadQuery) -> list[Shown]:
    """The next groups that the viewer sees; others' deleted ones are never among them."""
    place = await read_place(conn, listed.viewer)
    reach = await read_count_scope(conn, listed.viewer)
    found = await groups.page(conn, replace(listed, above=place.above), limit)
    return [show(group, listed.viewer, reach, read_query) for group in found]


async def update_group(tx: AsyncConnection, group_id: str, change: Change, viewer: Viewer) -> Group:
    """Changes what the owner says of his group.

    Two changes that together would make a cycle wait for each other: the second one is refused.
    """
    if change.query is not None:
        await groups.lock_references(tx)
    group = await own_group(tx, group_id, viewer, change.etag)
    draft = replace(group.draft, **change.fields)
    _check(draft, viewer, await read_place(tx, viewer))
    if change.query is not None:
        if draft.kind is not Kind.QUERY:
            raise invalid_field(f"{_FIELD}query", "is for QUERY groups only")
        await _refer(tx, group_id, change.query)
        await _refuse_query(tx, change.query, viewer)
    return await groups.change(tx, group_id, draft, query_changed=draft.query != group.draft.query)


async def delete_group(tx: AsyncConnection, group_id: str, viewer: Viewer, etag: str) -> None:
    """Deletes a group for the time being. Refuses while others refer to it."""
    await groups.lock_references(tx)
    group = await own_group(tx, group_id, viewer, etag, deleted=True)
    if group.delete_time is not None:
        return
    if referring := await groups.referring(tx, group_id):
        raise await _referred_to(tx, referring, viewer)
    await groups.set_deleted(tx, group_id, deleted=True)


async def undelete_group(tx: AsyncConnection, group_id: str, viewer: Viewer) -> Group:
    """Brings a deleted group back. Refuses with NOT_FOUND once its time is over."""
    group = await own_group(tx, group_id, viewer, deleted=True)
    if group.delete_time is None:
        return group
    back = await groups.set_deleted(tx, group_id, deleted=False)
    if back is None:
        raise not_found()
    return back


async def start_build(tx: AsyncConnection, group_id: str, viewer: Viewer, read_query: ReadQuery) -> Group:
    """The viewer's own group, to be built. Refuses at once what would end the build anyway."""
    group = await own_group(tx, group_id, viewer)
    if not group.has_build:
        raise kind_wrong(group)
    await ask_as_owner(tx, group, read_query(group.draft.query or b""))
    return group


async def own_group(
    tx: AsyncConnection, group_id: str, viewer: Viewer, etag: str = "", *, deleted: bool = False
) -> Group:
    """The viewer's own group, locked. Refuses one of somebody else, another etag, and a deleted one if not wanted."""
    group = await _seen(tx, await groups.find_locked(tx, group_id), viewer)
    if group.owner_id != viewer.staff_id:
        raise not_yours()
    if group.delete_time is not None and not deleted:
        raise unusable(group_id, "GROUP_DELETED", "was deleted")
    if etag not in {"", str(group.version)}:
        raise Refused(RefusalKind.CONFLICT, "ETAG_MISMATCH", "somebody changed it since it was read: read it again")
    return group


def not_yours() -> Refused:
    """Refuses what only a group's owner may do."""
    return Refused(RefusalKind.FORBIDDEN, "GROUP_NOT_YOURS", "only the owner does this with a group")


def show(group: Group, viewer: Viewer, reach: CountScope, read_query: ReadQuery) -> Shown:
    """Leaves of a group what a viewer is told of it."""
    query = group.draft.query
    if query is not None and group.owner_id != viewer.staff_id and naming_fields(read_query(query)):
        query = None
    if group.built is not None:
        group = replace(group, built=replace(group.built, least=group.least_for(viewer)))
    return Shown(group, query, told_count(group, viewer, small_hidden=reach.small_counts_hidden))


async def _seen(conn: AsyncConnection, group: Group | None, viewer: Viewer) -> Group:
    if group is None or not sees_group(group, viewer, await read_place(conn, viewer)):
        raise not_found()
    return group


def _check(draft: Draft, viewer: Viewer, place: Place) -> None:
    found = list(draft_faults(draft, viewer, place))
    for fault in found:
        if fault.reason != "FIELD_INVALID":
            message = f"{_FIELD}{fault.field} {fault.description}"
            raise Refused(RefusalKind.FORBIDDEN, fault.reason, message, {"field": f"{_FIELD}{fault.field}"})
    if found:
        raise invalid_fields([Violation(f"{_FIELD}{fault.field}", fault.description) for fault in found])


async def _refuse_query(conn: AsyncConnection, query: Query, viewer: Viewer) -> None:
    """Refuses what its owner could not ask now, or what may not be stored."""
    refuse_numbers(query)
    await ask(conn, query, viewer, await read_count_scope(conn, viewer))


def refuse_numbers(query: Query) -> None:
    """Refuses to store an id number or a mobile as a condition: they stand nowhere in clear."""
    for path, condition in single_paths(query.conditions):
        if isinstance(condition, IdentityCondition) and (condition.id_number or condition.mobile):
            raise invalid_field(path, "names a person by number, which is not stored: search for him")


async def _refer(tx: AsyncConnection, group_id: str, query: Query) -> None:
    referred = named_groups(query.conditions)
    if closes_cycle(group_id, await groups.reached(tx, referred)):
        raise Refused(RefusalKind.PRECONDITION, "GROUP_CYCLE", "the group would refer to itself")
    await groups.set_references(tx, group_id, referred)


async def _referred_to(conn: AsyncConnection, referring: Sequence[Group], viewer: Viewer) -> Refused:
    """Names the groups that refer to one; of those that are hidden from the viewer only their number is told."""
    place = await read_place(conn, viewer)
    names = [f"customerGroups/{group.group_id}" for group in referring if sees_group(group, viewer, place)]
    hidden = len(referring) - len(names)
    told = {"customer_groups": ",".join(names), "hidden_count": str(hidden)}
    also = f"{', '.join(names)} and {hidden} that you do not see" if hidden else ", ".join(names)
    return Refused(RefusalKind.PRECONDITION, "GROUP_REFERRED_TO", f"other groups refer to it: {also}", told)
