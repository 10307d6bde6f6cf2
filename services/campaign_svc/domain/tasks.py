"""What staff are to do for customers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from policy.contact_room import BANK_ZONE
from services.campaign_svc.domain.viewing import Level, OwnerRow, Scope

TaskState = Literal["OPEN", "DONE"]

TITLE_LENGTH_MAX = 200
ORIGIN_LENGTH_MAX = 200
OUTCOME_LENGTH_MAX = 1_000


@dataclass(frozen=True)
class Asked:
    """A task that somebody would like to have done."""

    customer_id: str
    title: str
    assignee_id: str | None
    due_date: date | None
    origin: str | None


@dataclass(frozen=True)
class Task:
    """A task as it stands; `branch_id` is empty for a service's."""

    task_id: str
    customer_id: str
    title: str
    assignee_id: str
    branch_id: str
    due_date: date | None
    origin: str | None
    state: TaskState
    outcome: str | None
    creator: str
    create_time: datetime
    complete_time: datetime | None


def is_due_in_the_past(asked: Asked, now: datetime) -> bool:
    """Whether the day by which the task is to be done was over before it was asked for."""
    return asked.due_date is not None and asked.due_date < now.astimezone(BANK_ZONE).date()


def may_be_assigned(rows: Iterable[OwnerRow], scope: Scope) -> frozenset[str]:
    """Whom a viewer may give a task for the customer with these rows: the managers of the rows that he sees."""
    ordered = list(rows)
    whole = scope.level(ordered) >= Level.PRIMARY
    seen = [row for row in ordered if whole or scope.level([row]) >= Level.SECONDARY]
    named = {row.manager_id for row in seen} | {row.private_manager_id for row in seen}
    return frozenset(staff_id for staff_id in named if staff_id)


def is_shown(task: Task, level: Level, own_branch_id: str | None, staff_id: str) -> bool:
    """The primary side sees every task, a secondary side those of its own branch and who has one his (domain.md 3)."""
    concerned = task.branch_id == own_branch_id or task.assignee_id == staff_id
    return level >= Level.PRIMARY or (level >= Level.SECONDARY and concerned)
