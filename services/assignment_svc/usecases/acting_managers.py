"""Arranges, tells and ends who covers whom (domain.md 3, acting manager)."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, not_found
from services.assignment_svc.domain.acting import (
    ActingManager,
    Arranged,
    check_days,
    check_free,
    check_people,
)
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.store import acting_managers, org, org_changes
from services.assignment_svc.store.acting_managers import Listed


async def check_arranger(conn: AsyncConnection, caller: Caller, branch_id: str) -> None:
    """Refuses whoever heads neither the branch nor one above it."""
    if not await _leads(conn, caller, branch_id):
        message = "only the head of the branch, or of one above it, may do this"
        raise Refused(Kind.FORBIDDEN, "NOT_BRANCH_HEAD", message, {"branch": branch_id})


async def arrange(tx: AsyncConnection, caller: Caller, arranged: Arranged) -> ActingManager:
    """Has somebody cover a colleague; the colleague is locked, so that nobody else gives him a second one meanwhile."""
    await check_arranger(tx, caller, arranged.branch_id)
    check_days(arranged, await org_changes.today(tx))
    await acting_managers.lock_covered(tx, arranged.covered_id)
    people = [await org.get_staff(tx, staff_id) for staff_id in (arranged.acting_id, arranged.covered_id)]
    check_people(arranged, *people)
    check_free(arranged, await acting_managers.standing(tx, arranged.covered_id, arranged.role))
    return await acting_managers.add(tx, arranged, caller.staff_id)


async def end(
    tx: AsyncConnection, caller: Caller, branch_id: str, acting_manager_id: str, reason: str
) -> ActingManager:
    """Ends it before its last day."""
    await check_arranger(tx, caller, branch_id)
    reason = checked_reason(reason)
    found = await acting_managers.get_locked(tx, branch_id, acting_manager_id)
    if found is None:
        raise not_found()
    if found.over:
        message = "it is over already"
        raise Refused(Kind.PRECONDITION, "ACTING_OVER", message, {"acting_manager": acting_manager_id})
    return await acting_managers.end(tx, acting_manager_id, caller.staff_id, reason)


async def listed(conn: AsyncConnection, caller: Caller, wanted: Listed, limit: int) -> list[ActingManager]:
    """Those of a branch: all for its head, else those that the caller is part of."""
    whole = caller.is_service or Role.ADMIN in caller.roles or await _leads(conn, caller, wanted.branch_id)
    return await acting_managers.page(conn, wanted if whole else replace(wanted, staff_id=caller.staff_id), limit)


async def _leads(conn: AsyncConnection, caller: Caller, branch_id: str) -> bool:
    return Role.BRANCH_HEAD in caller.roles and branch_id in await org.subtree(conn, caller.branch_id)
