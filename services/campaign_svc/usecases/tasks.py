"""Makes, tells and completes tasks, for those who may see the customer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation, invalid_field, invalid_fields, not_found
from policy.visibility import Level, Scope, Viewer
from services.campaign_svc.domain.tasks import (
    ORIGIN_LENGTH_MAX,
    OUTCOME_LENGTH_MAX,
    TITLE_LENGTH_MAX,
    Asked,
    Task,
    is_due_in_the_past,
    is_shown,
    may_be_assigned,
)
from services.campaign_svc.domain.viewing import Reading
from services.campaign_svc.store import contacts, followed, reads, tasks
from services.campaign_svc.store.tasks import Wanted
from services.campaign_svc.usecases.contacts import must_see, read_scope


async def create_task(tx: AsyncConnection, viewer: Viewer, asked: Asked) -> Task:
    """Stores a task for a customer whom the viewer sees; it is the viewer's own or one manager's of the customer."""
    sight = await must_see(tx, viewer, asked.customer_id)
    too_long = {"task.title": (asked.title, TITLE_LENGTH_MAX), "task.origin": (asked.origin or "", ORIGIN_LENGTH_MAX)}
    _refuse_too_long(too_long)
    if is_due_in_the_past(asked, await contacts.bank_now(tx)):
        raise invalid_field("task.due_date", "lies in the past")
    assignee_id = asked.assignee_id or viewer.staff_id
    if assignee_id != viewer.staff_id:
        rows = await followed.owner_rows(tx, asked.customer_id)
        if assignee_id not in may_be_assigned(rows, await read_scope(tx, viewer)):
            message = "task.assignee: is neither you nor a manager of the customer whom you see"
            raise Refused(Kind.INVALID, "ASSIGNEE_INVALID", message, {"field": "task.assignee", "value": assignee_id})
    return await tasks.add(tx, asked, assignee_id, sight.own_branch_id or "", viewer.staff_id)


async def get_task(tx: AsyncConnection, reading: Reading, task_id: str) -> Task:
    """One task that the viewer sees; the read is noted."""
    found = await _must_see_task(tx, reading.viewer, task_id)
    await reads.remember(tx, reading, {found.customer_id})
    return found


async def complete_task(tx: AsyncConnection, viewer: Viewer, task_id: str, outcome: str) -> Task:
    """Says what came of an open task."""
    found = await _must_see_task(tx, viewer, task_id, lock=True)
    _refuse_too_long({"outcome": (outcome, OUTCOME_LENGTH_MAX)})
    if found.state != "OPEN":
        message = f"the task is {found.state} already"
        raise Refused(Kind.PRECONDITION, "TASK_NOT_OPEN", message, {"state": found.state})
    return await tasks.complete(tx, found, outcome)


async def list_tasks(
    tx: AsyncConnection, reading: Reading, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> tuple[Sequence[Task], tuple[datetime, str] | None]:
    """A page of tasks for a customer, or of the viewer's own, and where the next one begins; each read is noted.

    The viewer's own tasks are left out for customers whom he sees no more, so that a page may be shorter.
    """
    if wanted.customer_id is not None:
        sight = await must_see(tx, reading.viewer, wanted.customer_id)
        if sight.level < Level.PRIMARY:
            wanted = replace(wanted, concerned=(sight.own_branch_id, reading.viewer.staff_id))
    found = await tasks.page(tx, wanted, before, limit + 1)
    shown = found[:limit]
    if wanted.customer_id is None:
        scope = await read_scope(tx, reading.viewer)
        shown = [task for task in shown if await _is_seen(tx, scope, task, reading.viewer.staff_id)]
    await reads.remember(tx, reading, {task.customer_id for task in shown} | {wanted.customer_id or ""} - {""})
    last = found[limit - 1] if len(found) > limit else None
    return shown, None if last is None else (last.create_time, last.task_id)


async def _must_see_task(tx: AsyncConnection, viewer: Viewer, task_id: str, *, lock: bool = False) -> Task:
    found = await tasks.get(tx, task_id, lock=lock)
    if found is None or not await _is_seen(tx, await read_scope(tx, viewer), found, viewer.staff_id):
        raise not_found()
    return found


async def _is_seen(tx: AsyncConnection, scope: Scope, task: Task, staff_id: str) -> bool:
    rows = await followed.owner_rows(tx, task.customer_id)
    return is_shown(task, scope.level(rows), scope.own_branch_id(rows), staff_id)


def _refuse_too_long(texts: dict[str, tuple[str, int]]) -> None:
    faults = [
        Violation(field, f"has more than {most} characters")
        for field, (text, most) in texts.items()
        if len(text) > most
    ]
    if faults:
        raise invalid_fields(faults)
