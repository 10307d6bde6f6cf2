"""Makes, changes and closes branches (domain.md 3): the tree stays a tree, and history and log are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from services.assignment_svc.domain.org_changes import Fault, Plan, Subject, branch_faults
from services.assignment_svc.domain.organisation import Branch, circles
from services.assignment_svc.store import org, org_changes, org_writes
from services.assignment_svc.store.org_changes import PlanDraft, Telling
from services.assignment_svc.usecases.org_changes import check_etag, refuse, when


@dataclass(frozen=True)
class Edit:
    """What shall change of a branch or a staff member: columns and their values, and what the caller saw of it."""

    subject_id: str
    etag: str
    changes: Mapping[str, Any]
    effective_date: date | None = None


async def create_branch(tx: AsyncConnection, telling: Telling, branch: Branch) -> Branch:
    """Makes a branch. A branch's id is never used twice."""
    await org_changes.lock_org(tx)
    if await org_writes.is_branch_id_used(tx, branch.branch_id):
        given = {"id": branch.branch_id}
        raise Refused(Kind.ALREADY_EXISTS, "ORG_ID_TAKEN", "a branch of this id exists, or existed", given)
    today = await org_changes.today(tx)
    refuse(await _faults(tx, branch, max(today, branch.open_date or today)), "branch.")
    await org_changes.tell(tx, telling)
    await org_writes.add_branch(tx, branch)
    return await _stored(tx, branch.branch_id)


async def update_branch(tx: AsyncConnection, telling: Telling, edit: Edit) -> tuple[Branch, Plan | None]:
    """Changes a branch, or plans to: what is planned is held against today's tree, and again on its day."""
    await org_changes.lock_org(tx)
    before = await org.get_branch(tx, edit.subject_id)
    if before is None:
        raise not_found()
    check_etag(edit.etag, before.etag)
    if edit.changes.get("close_date") is not None and edit.changes["close_date"] != before.close_date:
        raise invalid_field("branch.close_date", "is set by CloseBranch, which looks at what is still there")
    at = await when(tx, edit.effective_date)
    refuse(await _faults(tx, replace(before, **edit.changes), at.day), "branch.")
    await org_changes.tell(tx, telling)
    if at.is_later:
        draft = PlanDraft(Subject.BRANCH, before.branch_id, edit.changes, at.day)
        return before, await org_changes.add_plan(tx, draft, telling)
    if any(getattr(before, name) != value for name, value in edit.changes.items()):
        await org_writes.change_branch(tx, before.branch_id, edit.changes)
    return await _stored(tx, before.branch_id), None


async def apply_to_branch(tx: AsyncConnection, plan: Plan) -> None:
    """Makes a planned change; refuses as `update_branch` would on its day."""
    before = await org.get_branch(tx, plan.subject_id)
    if before is None:
        raise not_found()
    refuse(await _faults(tx, replace(before, **plan.changes), plan.effective_date), "branch.")
    await org_writes.change_branch(tx, before.branch_id, plan.changes)


async def close_branch(
    tx: AsyncConnection, telling: Telling, branch_id: str, etag: str, close_date: date | None
) -> Branch:
    """Gives a branch its last day. Whoever comes later, by the feed or a night, is not held off by that."""
    await org_changes.lock_org(tx)
    before = await org.get_branch(tx, branch_id)
    if before is None:
        raise not_found()
    check_etag(etag, before.etag)
    yesterday = await org_changes.today(tx) - timedelta(days=1)
    last = close_date or yesterday
    if last < yesterday:
        raise invalid_field("close_date", f"must not be before yesterday, {yesterday.isoformat()}")
    if before.open_date is not None and last < before.open_date:
        raise invalid_field("close_date", "must not be before open_date")
    left = await org_writes.left_after(tx, branch_id, last)
    if left.customers or left.staff or left.branches:
        given = {name: str(count) for name, count in vars(left).items()}
        message = f"{left.customers} customers, {left.staff} staff and {left.branches} branches are still there"
        raise Refused(Kind.PRECONDITION, "BRANCH_NOT_EMPTY", message, given)
    await org_changes.tell(tx, telling)
    await org_writes.change_branch(tx, branch_id, {"close_date": last})
    return await _stored(tx, branch_id)


async def _faults(tx: AsyncConnection, branch: Branch, day: date) -> list[Fault]:
    faults = branch_faults(branch)
    if branch.parent_id is None:
        return faults
    parent = await org.get_branch(tx, branch.parent_id)
    tree = {**await org.parents(tx), branch.branch_id: branch.parent_id}
    if branch.branch_id in circles(tree):
        faults.append(Fault("parent", "BRANCH_CYCLE", "makes the branch its own ancestor"))
    elif parent is None:
        faults.append(Fault("parent", "REFERENCE_UNKNOWN", "names no branch that exists"))
    elif max(day, branch.open_date or date.min) > (parent.close_date or date.max) and branch.is_open(day):
        faults.append(Fault("parent", "BRANCH_CLOSED", "is closed by then"))
    return faults


async def _stored(tx: AsyncConnection, branch_id: str) -> Branch:
    stored = await org.get_branch(tx, branch_id)
    assert stored is not None, "it was written in this transaction"
    return stored
