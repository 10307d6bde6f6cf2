"""Tasks of staff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.campaign_svc.domain.tasks import Asked, Task, TaskState
from services.campaign_svc.store.tables import tasks

_COLUMNS = [tasks.c[name] for name in Task.__dataclass_fields__]


@dataclass(frozen=True)
class Wanted:
    """Which tasks are asked for: those for a customer or those of a member of staff.

    With `concerned` only those of a branch and those of a member of staff.
    """

    customer_id: str | None
    assignee_id: str | None
    state: TaskState | None = None
    concerned: tuple[str | None, str] | None = None


async def add(tx: AsyncConnection, asked: Asked, assignee_id: str, branch_id: str, creator: str) -> Task:
    """Stores a new task."""
    values = {
        "customer_id": asked.customer_id,
        "task_id": str(uuid4()),
        "title": asked.title,
        "assignee_id": assignee_id,
        "branch_id": branch_id,
        "due_date": asked.due_date,
        "origin": asked.origin,
        "state": "OPEN",
        "creator": creator,
        "create_time": func.bank_now(),
    }
    return Task(*(await tx.execute(insert(tasks).values(values).returning(*_COLUMNS))).one())


async def get(tx: AsyncConnection, task_id: str, *, lock: bool = False) -> Task | None:
    """One task; locked until the transaction ends, if somebody is about to change it."""
    query = select(*_COLUMNS).where(tasks.c.task_id == task_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else Task(*row)


async def complete(tx: AsyncConnection, task: Task, outcome: str) -> Task:
    """Stores that a task was done."""
    done = update(tasks).where(tasks.c.customer_id == task.customer_id, tasks.c.task_id == task.task_id)
    values = {"state": "DONE", "outcome": outcome, "complete_time": func.bank_now()}
    return Task(*(await tx.execute(done.values(values).returning(*_COLUMNS))).one())


async def page(tx: AsyncConnection, wanted: Wanted, before: tuple[datetime, str] | None, limit: int) -> Sequence[Task]:
    """The youngest tasks first, beginning after the one given."""
    c = tasks.c
    query = select(*_COLUMNS).order_by(c.create_time.desc(), c.task_id.desc()).limit(limit)
    for column, value in (
        (c.customer_id, wanted.customer_id),
        (c.assignee_id, wanted.assignee_id),
        (c.state, wanted.state),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.concerned is not None:
        branch_id, staff_id = wanted.concerned
        query = query.where(or_(c.branch_id == branch_id, c.assignee_id == staff_id))
    if before is not None:
        query = query.where(tuple_(c.create_time, c.task_id) < before)
    return [Task(*row) for row in await tx.execute(query)]
