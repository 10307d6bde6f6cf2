"""Builds the members of groups from their queries, with what their owners may see when it is done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind as RefusalKind
from chassis.errors import Refused, not_found
from chassis.sql.engine import Database
from services.customer_svc.domain.groups import Group, unfit
from services.customer_svc.domain.query import Asked, Query
from services.customer_svc.domain.reach import forbidden, least_of_others
from services.customer_svc.domain.viewing import Level, Viewer
from services.customer_svc.store import customers, group_builds, groups
from services.customer_svc.store.group_builds import Batch, Build
from services.customer_svc.usecases.ask_query import ask
from services.customer_svc.usecases.refer_to_groups import unusable
from services.customer_svc.usecases.scopes import read_count_scope

log = structlog.get_logger(__name__)

# Reads a query as the wire brought it.
ReadQuery = Callable[[bytes], Query]
# Tells how many customers of how many were looked at; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


@dataclass(frozen=True)
class Work:
    """One attempt of an operation to build: `build_id` is the same for each of its attempts."""

    database: Database
    build_id: str
    read_query: ReadQuery
    tell: Progress


async def fit_owner(conn: AsyncConnection, owner_id: str, day: date) -> Viewer:
    """The owner of a group as the bank knows him now. Refuses if nothing is found in his name any more."""
    known = await groups.read_owner(conn, owner_id)
    viewer = known.viewer if known else None
    reason = unfit(viewer, known.active_from_date if known else None, known.active_until_date if known else None, day)
    if viewer is None or reason is not None:
        told = {"owner": f"staff/{owner_id}"}
        raise Refused(RefusalKind.PRECONDITION, "OWNER_UNFIT", reason or "the owner has left", told)
    return viewer


async def ask_as_owner(conn: AsyncConnection, group: Group, query: Query) -> Asked:
    """A group's query as its owner asks it. Refuses if he may not, or if a group that it names cannot be used.

    That somebody is found among an owner's customers tells of the ownership, which the secondary side sees and other
    staff do not: so no group reaches further down, whatever its query looks at.
    """
    viewer = await fit_owner(conn, group.owner_id, await customers.business_day(conn))
    reach = await read_count_scope(conn, viewer)
    denied = forbidden(query, reach)
    if denied is not None:
        told = {"owner": f"staff/{viewer.staff_id}", "field": denied.field}
        raise Refused(RefusalKind.PRECONDITION, "OWNER_UNFIT", f"the owner never sees {denied.field} any more", told)
    asked = await ask(conn, query, viewer, reach)
    return replace(asked, reach=replace(asked.reach, least=max(asked.reach.least, Level.SECONDARY)))


async def build_group(work: Work, group_id: str) -> Group | None:
    """Builds a group's members and makes them count; None if it was told to stop. Goes on where an attempt ended.

    Refuses if the group, its owner or a group that it names is not fit for it, and if what was built is overtaken by
    a change of the query, a younger build, or a build of a group that it names.
    """
    async with work.database.begin() as tx:
        group = await _buildable(tx, group_id)
        build = await _begun(tx, group_id, work.build_id)
        asked = await ask_as_owner(tx, group, work.read_query(group.draft.query or b""))
        asked = replace(asked, day=build.day)
        total = await group_builds.total_count(tx)
    batch: Batch | None = Batch(build.done_count, build.after, is_last=False)
    while not batch.is_last:
        if not await work.tell(min(total, batch.done_count), total):
            await _give_up(work.database, build)
            return None
        async with work.database.begin() as tx:
            batch = await group_builds.take_batch(tx, build, batch.after, asked)
        if batch is None:
            raise _changed()
    async with work.database.begin() as tx:
        least = asked.reach.least
        others = least_of_others(asked.query, least)
        if await group_builds.referred_rebuilt(tx, build) or not await group_builds.finish(tx, build, least, others):
            raise _changed()
        finished = await groups.find(tx, group_id)
    await work.tell(total, total)
    return finished


async def build_due(work: Work, day: date) -> int:
    """Builds all groups that are due on a business date, those that others refer to first; says how many it built.

    One that cannot be built is told in the log and left as it was.
    """
    built = 0
    async with work.database.read() as conn:
        due = await groups.due_tonight(conn, day)
    for number, group_id in enumerate(due):

        async def tell(_done: int, _total: int, number: int = number) -> bool:
            return await work.tell(number, len(due))

        try:
            group = await build_group(replace(work, tell=tell), group_id)
        except Refused as refused:
            log.warning("group_not_built", group=group_id, reason=refused.reason, answer=refused.message)
            continue
        if group is None:
            break
        built += 1
    return built


async def _buildable(tx: AsyncConnection, group_id: str) -> Group:
    group = await groups.find_locked(tx, group_id)
    if group is None:
        raise not_found()
    if group.delete_time is not None:
        raise unusable(group_id, "GROUP_DELETED", "was deleted")
    if not group.has_build:
        raise kind_wrong(group)
    return group


def kind_wrong(group: Group) -> Refused:
    """Refuses what is not for a group of this kind."""
    kind = group.draft.kind.value
    return Refused(RefusalKind.PRECONDITION, "GROUP_KIND_WRONG", f"not for a group of kind {kind}", {"kind": kind})


async def _begun(tx: AsyncConnection, group_id: str, build_id: str) -> Build:
    left = await group_builds.resume(tx, group_id, build_id)
    if left is not None and not await group_builds.referred_rebuilt(tx, left):
        return left
    return await group_builds.begin(tx, group_id, build_id, await customers.business_day(tx))


async def _give_up(database: Database, build: Build) -> None:
    async with database.begin() as tx:
        await group_builds.give_up(tx, build)


def _changed() -> Refused:
    message = "the query, or a group that it names, changed while the group was built"
    return Refused(RefusalKind.CONFLICT, "GROUP_CHANGED", message)
