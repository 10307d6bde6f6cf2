"""What it takes to refer to saved groups: in a condition, in an export, in another group."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, not_found
from services.customer_svc.domain.conditions import Condition, GroupCondition, singles
from services.customer_svc.domain.groups import Group, Place, sees_group
from services.customer_svc.domain.viewing import Level, Viewer
from services.customer_svc.store import groups, org


async def least_of_groups(conn: AsyncConnection, viewer: Viewer, group_ids: Collection[str]) -> Level:
    """The least level at which somebody may know of a customer that he is in these groups.

    Refuses with NOT_FOUND if a group is absent or hidden from the viewer, and with FAILED_PRECONDITION, naming it, if
    one was deleted or never built.
    """
    found = await seen_groups(conn, viewer, group_ids)
    for group in found:
        if group.built is None:
            raise unusable(group.group_id, "GROUP_NOT_BUILT", "was never built: build it first")
    return max((group.least_for(viewer) for group in found), default=Level.EXISTENCE)


async def seen_groups(conn: AsyncConnection, viewer: Viewer, group_ids: Collection[str]) -> list[Group]:
    """The groups, by id. Refuses with NOT_FOUND if one is hidden, with FAILED_PRECONDITION if one was deleted."""
    stored = await groups.find_all(conn, group_ids)
    place = await read_place(conn, viewer)
    found: list[Group] = []
    for group_id in sorted(set(group_ids)):
        group = stored.get(group_id)
        if group is None or not sees_group(group, viewer, place):
            raise not_found()
        if group.delete_time is not None:
            raise unusable(group_id, "GROUP_DELETED", "was deleted")
        found.append(group)
    return found


async def read_place(conn: AsyncConnection, viewer: Viewer) -> Place:
    """Where somebody stands in the tree of branches."""
    return await groups.read_place(conn, viewer.branch_id, await org.subtree(conn, viewer.branch_id))


def named_groups(conditions: Sequence[Condition]) -> frozenset[str]:
    """The groups that conditions name, at whatever depth."""
    named: set[str] = set()
    for condition in singles(conditions):
        if isinstance(condition, GroupCondition):
            named.update(condition.any_of, condition.none_of)
    return frozenset(named)


def unusable(group_id: str, reason: str, description: str) -> Refused:
    """Refuses to use a group in the state that it is in."""
    name = f"customerGroups/{group_id}"
    return Refused(Kind.PRECONDITION, reason, f"{name} {description}", {"customer_group": name})
