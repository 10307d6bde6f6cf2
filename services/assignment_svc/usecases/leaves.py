"""Asks for, approves and takes back leaves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, invalid_field, not_found
from services.assignment_svc.store import leaves, org, org_changes, org_writes
from services.assignment_svc.store.leaves import Decision, Leave, LeaveDraft, LeaveState, Wanted
from services.assignment_svc.store.org_changes import Telling

DAYS_MAX = 366


async def create_leave(tx: AsyncConnection, caller: Caller, telling: Telling, draft: LeaveDraft) -> Leave:
    """Asks for a leave. The staff member is locked: of two leaves with the same days one comes second."""
    _check_days(draft)
    found = await org_writes.lock_staff(tx, [draft.staff_id])
    staff = found.get(draft.staff_id)
    if staff is None or not await _answers_for(tx, caller, staff.staff_id, staff.branch_id):
        raise not_found()
    today = await org_changes.today(tx)
    if draft.until_date < today:
        raise invalid_field("leave.until_date", f"must not be before today, {today.isoformat()}")
    await _check_substitute(tx, draft)
    other = await leaves.overlapping(tx, draft.staff_id, draft.from_date, draft.until_date)
    if other is not None:
        message = "another leave has some of these days"
        raise Refused(Kind.PRECONDITION, "LEAVE_OVERLAP", message, {"leave": other})
    await org_changes.tell(tx, telling)
    return await leaves.add_leave(tx, draft, staff.branch_id, caller.staff_id)


async def get_leave(conn: AsyncConnection, caller: Caller, leave_id: str) -> Leave:
    """One leave that the caller sees."""
    return _seen(await leaves.get_leave(conn, leave_id), *await _sight(conn, caller))


async def list_leaves(
    conn: AsyncConnection, caller: Caller, wanted: Wanted, after: tuple[date, str] | None, size: int
) -> Sequence[Leave]:
    """A page of leaves that the caller sees, and one more if there is one."""
    _, branch_ids = await _sight(conn, caller)
    limited = replace(wanted, own_id=caller.staff_id, branch_ids=branch_ids)
    return await leaves.list_leaves(conn, limited, after, size + 1)


async def approve_leave(tx: AsyncConnection, caller: Caller, telling: Telling, leave_id: str) -> Leave:
    """Agrees to a leave that is asked for."""
    leave = await _locked(tx, caller, leave_id)
    staff = await org.get_staff(tx, leave.draft.staff_id)
    is_own = leave.draft.staff_id == caller.staff_id
    if is_own or staff is None or not await _heads(tx, caller, staff.branch_id):
        message = "only a head of the staff member's branch, or of one above, may do this, and not for himself"
        raise Refused(Kind.FORBIDDEN, "NOT_LEAVE_HEAD", message)
    if leave.state is not LeaveState.REQUESTED:
        raise _decided(leave)
    await org_changes.tell(tx, telling)
    decision = Decision(LeaveState.APPROVED, caller.staff_id, telling.reason, leave.draft.until_date)
    return await leaves.decide(tx, leave_id, decision)


async def cancel_leave(tx: AsyncConnection, caller: Caller, telling: Telling, leave_id: str) -> Leave:
    """Takes a leave back. One that has begun ends with yesterday: what has passed stays true."""
    leave = await _locked(tx, caller, leave_id)
    today = await org_changes.today(tx)
    if leave.state is LeaveState.CANCELLED or leave.draft.until_date < today:
        raise _decided(leave)
    has_begun = leave.state is LeaveState.APPROVED and leave.draft.from_date < today
    state = LeaveState.APPROVED if has_begun else LeaveState.CANCELLED
    last = today - timedelta(days=1) if has_begun else leave.draft.until_date
    await org_changes.tell(tx, telling)
    return await leaves.decide(tx, leave_id, Decision(state, caller.staff_id, telling.reason, last))


def _check_days(draft: LeaveDraft) -> None:
    if draft.until_date < draft.from_date:
        raise invalid_field("leave.until_date", "must not be before from_date")
    if (draft.until_date - draft.from_date).days > DAYS_MAX:
        raise invalid_field("leave.until_date", f"must be at most {DAYS_MAX} days after from_date")


async def _check_substitute(tx: AsyncConnection, draft: LeaveDraft) -> None:
    if draft.substitute_id is None:
        return
    if draft.substitute_id == draft.staff_id:
        raise invalid_field("leave.substitute", "must be somebody else")
    substitute = await org.get_staff(tx, draft.substitute_id)
    if substitute is None:
        raise invalid_field("leave.substitute", "names nobody who exists", "REFERENCE_UNKNOWN")
    if not (substitute.is_active(draft.from_date) and substitute.is_active(draft.until_date)):
        raise invalid_field("leave.substitute", "is not active on all of these days")


async def _locked(tx: AsyncConnection, caller: Caller, leave_id: str) -> Leave:
    sight = await _sight(tx, caller)
    return _seen(await leaves.get_leave(tx, leave_id, lock=True), *sight)


def _seen(leave: Leave | None, own_id: str, branch_ids: frozenset[str] | None) -> Leave:
    if leave is None:
        raise not_found()
    if branch_ids is not None and leave.draft.staff_id != own_id and leave.branch_id not in branch_ids:
        raise not_found()
    return leave


async def _sight(conn: AsyncConnection, caller: Caller) -> tuple[str, frozenset[str] | None]:
    """Whose leaves the caller sees: his own, and those of these branches (None: of all)."""
    if Role.ADMIN in caller.roles:
        return caller.staff_id, None
    below = await org.subtree(conn, caller.branch_id) if Role.BRANCH_HEAD in caller.roles else frozenset[str]()
    return caller.staff_id, below


async def _heads(conn: AsyncConnection, caller: Caller, branch_id: str) -> bool:
    return Role.BRANCH_HEAD in caller.roles and branch_id in await org.subtree(conn, caller.branch_id)


async def _answers_for(conn: AsyncConnection, caller: Caller, staff_id: str, branch_id: str) -> bool:
    return staff_id == caller.staff_id or await _heads(conn, caller, branch_id)


def _decided(leave: Leave) -> Refused:
    message = "the leave is over, cancelled or decided already"
    return Refused(Kind.PRECONDITION, "LEAVE_DECIDED", message, {"state": leave.state.value})
