"""A branch that hands its customers to another one: merged, closed or split (domain.md 3)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from chassis.errors import Kind, Refused, Violation, invalid_fields
from services.assignment_svc.domain.organisation import Branch, Staff
from services.assignment_svc.domain.reasons import reason_fault

MANAGERS_MAX = 100


class ChangeKind(StrEnum):
    """What happens to the branch."""

    MERGER = "MERGER"
    CLOSING = "CLOSING"
    SPLIT = "SPLIT"


class ChangeState(StrEnum):
    """How far it is."""

    PLANNED = "PLANNED"
    APPLYING = "APPLYING"
    APPLIED = "APPLIED"
    CANCELLED = "CANCELLED"


OVER = frozenset({ChangeState.APPLIED, ChangeState.CANCELLED})


@dataclass(frozen=True)
class Planned:
    """What is to happen: `branch_id` hands over to `target_id`; of a split, the customers of some managers."""

    kind: ChangeKind
    branch_id: str
    target_id: str
    manager_ids: tuple[str, ...]
    effective_date: date
    reason: str


@dataclass(frozen=True)
class MoveCounts:
    """What was moved, or would be."""

    customers: int = 0
    united: int = 0
    primary: int = 0
    unassigned: int = 0
    changed_rows: int = 0
    staff: int = 0

    def __add__(self, other: "MoveCounts") -> "MoveCounts":
        return MoveCounts(*(getattr(self, name) + getattr(other, name) for name in vars(self)))


@dataclass(frozen=True)
class BranchChange:
    """A change with how far it is."""

    branch_change_id: str
    planned: Planned
    state: ChangeState
    creator: str
    create_time: datetime
    decider: str
    decide_time: datetime | None
    counts: MoveCounts


def check_plan(planned: Planned, today: date) -> None:
    """Refuses what can be seen to be wrong without looking at the bank."""
    is_split = planned.kind is ChangeKind.SPLIT
    wrong = {
        "target": "is the branch itself" if planned.target_id == planned.branch_id else "",
        "effective_date": "is past" if planned.effective_date < today else "",
        "managers": _managers_fault(planned.manager_ids, is_split=is_split),
        "reason": reason_fault(planned.reason),
    }
    faults = [Violation(f"branch_change.{field}", problem) for field, problem in wrong.items() if problem]
    if faults:
        raise invalid_fields(faults)


def check_branches(planned: Planned, branches: Mapping[str, Branch], below: Collection[str]) -> None:
    """Refuses branches that are not there or closed by the day, and a target `below` the branch that goes."""
    for branch_id in (planned.branch_id, planned.target_id):
        branch = branches.get(branch_id)
        if branch is None or (branch.close_date or date.max) < planned.effective_date:
            message = f"{branch_id} is no branch that is open on {planned.effective_date.isoformat()}"
            raise Refused(Kind.PRECONDITION, "BRANCH_CLOSED", message, {"branch": branch_id})
    if planned.kind is not ChangeKind.SPLIT and planned.target_id in below:
        message = "the target is below the branch that goes"
        raise Refused(Kind.PRECONDITION, "BRANCH_CYCLE", message, {"branch": planned.target_id})


def check_managers(planned: Planned, staff: Mapping[str, Staff]) -> None:
    """Refuses whoever does not work at the branch that is split."""
    for staff_id in planned.manager_ids:
        if staff_id not in staff or staff[staff_id].branch_id != planned.branch_id:
            message = f"{staff_id} does not work at {planned.branch_id}"
            raise Refused(Kind.PRECONDITION, "MANAGER_ELSEWHERE", message, {"staff": staff_id})


def check_applicable(change: BranchChange, caller: str, today: date, *, dry: bool) -> None:
    """Refuses what is over, too early, or would be approved by who planned it; a dry run only what is over."""
    if change.state in OVER:
        raise is_over(change)
    if dry:
        return
    if change.planned.effective_date > today:
        day = change.planned.effective_date.isoformat()
        raise Refused(Kind.PRECONDITION, "CHANGE_EARLY", f"it takes effect on {day}", {"effective_date": day})
    if change.creator == caller:
        message = "somebody else than who planned it must apply it"
        raise Refused(Kind.FORBIDDEN, "OWN_BRANCH_CHANGE", message)


def is_over(change: BranchChange) -> Refused:
    """Refuses to do anything with a change that was applied or cancelled."""
    given = {"state": change.state.value}
    return Refused(Kind.PRECONDITION, "BRANCH_CHANGE_OVER", f"the change is {change.state.value} already", given)


def _managers_fault(manager_ids: tuple[str, ...], *, is_split: bool) -> str:
    if not is_split:
        return "belongs to a split only" if manager_ids else ""
    if not 0 < len(manager_ids) <= MANAGERS_MAX:
        return f"must have from 1 to {MANAGERS_MAX} of the branch's staff"
    return "names somebody twice" if len(set(manager_ids)) < len(manager_ids) else ""
