"""What may be changed of branches and staff, when, and how the tree stands on a day."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from services.assignment_svc.domain.organisation import Branch, Staff

DISPLAY_NAME_LENGTH_MAX = 100
LOGIN_LENGTH_MAX = 64
LEGAL_ENTITY_LENGTH_MAX = 100
TREE_BRANCHES_MAX = 10_000
BATCH_MAX = 1_000
# The columns that people change.
BRANCH_COLUMNS = ("display_name", "parent_id", "legal_entity", "open_date", "close_date")
STAFF_COLUMNS = (
    "display_name",
    "branch_id",
    "roles",
    "login",
    "active_from_date",
    "active_until_date",
    "successor_id",
)


class Subject(StrEnum):
    """What a change is about."""

    BRANCH = "BRANCH"
    STAFF = "STAFF"
    LEAVE = "LEAVE"
    PLANNED_ORG_CHANGE = "PLANNED_ORG_CHANGE"
    STAFF_RELATION = "STAFF_RELATION"
    OIDC_MAPPING = "OIDC_MAPPING"


class PlanState(StrEnum):
    """Where a planned change stands; only what is pending goes on."""

    PENDING = "PENDING"
    APPLIED = "APPLIED"
    WITHDRAWN = "WITHDRAWN"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Plan:
    """A change of a branch or a staff member on a later day: columns and their values."""

    plan_id: str
    subject: Subject
    subject_id: str
    changes: Mapping[str, Any]
    effective_date: date
    state: PlanState
    reason: str
    actor: str
    create_time: datetime
    end_time: datetime | None = None
    failure: str = ""


@dataclass(frozen=True)
class Entry:
    """One change, as the log keeps it."""

    entry_id: int
    create_time: datetime
    actor: str
    method: str
    request_id: str
    reason: str
    subject: Subject
    subject_id: str
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class BranchPeriod:
    """How a branch stood in the tree, on [from_date, until_date); without an end it is so now."""

    branch_id: str
    period_id: int
    display_name: str
    parent_id: str | None
    legal_entity: str | None
    from_date: date
    until_date: date | None


@dataclass(frozen=True)
class Fault:
    """What is wrong with a change: the field, why by one word, and the same in a sentence."""

    field: str
    reason: str
    description: str


@dataclass(frozen=True)
class Known:
    """What changes of staff are held against: branches, everybody's ids, and whose the logins in question are."""

    branches: Mapping[str, Branch]
    staff_ids: Collection[str]
    login_owners: Mapping[str, str]


def branch_faults(branch: Branch) -> list[Fault]:
    """What is wrong with a branch by itself."""
    faults: list[Fault] = []
    if not 0 < len(branch.display_name) <= DISPLAY_NAME_LENGTH_MAX:
        faults.append(_invalid("display_name", f"must have from 1 to {DISPLAY_NAME_LENGTH_MAX} characters"))
    if len(branch.legal_entity or "") > LEGAL_ENTITY_LENGTH_MAX:
        faults.append(_invalid("legal_entity", f"must have at most {LEGAL_ENTITY_LENGTH_MAX} characters"))
    if branch.open_date and branch.close_date and branch.close_date < branch.open_date:
        faults.append(_invalid("close_date", "must not be before open_date"))
    return faults


def staff_faults(staff: Staff, known: Known, day: date) -> list[Fault]:
    """What is wrong with a staff member as he shall be from `day` on."""
    faults: list[Fault] = []
    if not 0 < len(staff.display_name) <= DISPLAY_NAME_LENGTH_MAX:
        faults.append(_invalid("display_name", f"must have from 1 to {DISPLAY_NAME_LENGTH_MAX} characters"))
    faults += _branch_faults_of(staff, known, day)
    if not staff.roles:
        faults.append(_invalid("roles", "is required"))
    if "SERVICE" in staff.roles:
        faults.append(_invalid("roles", "must not have ROLE_SERVICE: no member of the staff is a service"))
    faults += _login_faults(staff, known)
    if (staff.active_until_date or date.max) < (staff.active_from_date or date.min):
        faults.append(_invalid("active_until_date", "must not be before active_from_date"))
    if staff.successor_id == staff.staff_id:
        faults.append(_invalid("successor", "must be somebody else"))
    elif staff.successor_id is not None and staff.successor_id not in known.staff_ids:
        faults.append(Fault("successor", "REFERENCE_UNKNOWN", "names nobody who exists"))
    return faults


def _branch_faults_of(staff: Staff, known: Known, day: date) -> list[Fault]:
    branch = known.branches.get(staff.branch_id)
    if branch is None:
        return [Fault("branch", "REFERENCE_UNKNOWN", "names no branch that exists")]
    first = max(day, staff.active_from_date or date.min)
    if first <= (staff.active_until_date or date.max) and first > (branch.close_date or date.max):
        return [Fault("branch", "BRANCH_CLOSED", "is closed by then")]
    return []


def _login_faults(staff: Staff, known: Known) -> list[Fault]:
    if staff.login is None:
        return []
    if len(staff.login) > LOGIN_LENGTH_MAX or staff.login != staff.login.strip():
        return [_invalid("login", f"must have at most {LOGIN_LENGTH_MAX} characters, and no blank at its ends")]
    if known.login_owners.get(staff.login, staff.staff_id) != staff.staff_id:
        return [Fault("login", "LOGIN_TAKEN", "is another member's")]
    return []


def _invalid(field: str, description: str) -> Fault:
    return Fault(field, "FIELD_INVALID", description)


@dataclass(frozen=True)
class Node:
    """A branch in the tree of a day. `planned`: something of it stands so only by a plan."""

    branch: Branch
    depth: int
    planned: bool = False


def tree_on(  # noqa: PLR0913 -- a tree is made of all that
    day: date,
    root_id: str,
    branches: Iterable[Branch],
    periods: Iterable[BranchPeriod],
    plans: Iterable[Plan],
    *,
    show_closed: bool = False,
) -> Sequence[Node]:
    """The root and all below it as of `day`, parents first; empty if the root was not there on that day.

    `periods` are those of the day, one for each branch that was there; `plans` those pending that take effect by it,
    in the order in which they will. What is below a closed branch is told even where that one is not.
    """
    standing = {branch.branch_id: branch for branch in branches}
    there = {
        period.branch_id: replace(
            standing[period.branch_id],
            display_name=period.display_name,
            parent_id=period.parent_id,
            legal_entity=period.legal_entity,
        )
        for period in periods
        if period.branch_id in standing
    }
    planned: set[str] = set()
    for plan in plans:
        if plan.subject is Subject.BRANCH and plan.subject_id in there:
            there[plan.subject_id] = replace(there[plan.subject_id], **plan.changes)
            planned.add(plan.subject_id)
    below: dict[str | None, list[str]] = {}
    for branch_id in sorted(there, reverse=True):
        below.setdefault(there[branch_id].parent_id, []).append(branch_id)
    nodes: list[Node] = []
    seen: set[str] = set()
    waiting = [(root_id, 0)] if root_id in there else []
    while waiting:
        branch_id, depth = waiting.pop()
        if branch_id in seen:  # plans together may make a circle that none of them makes alone
            continue
        seen.add(branch_id)
        if show_closed or there[branch_id].is_open(day):
            nodes.append(Node(there[branch_id], depth, branch_id in planned))
        waiting.extend((child, depth + 1) for child in below.get(branch_id, ()))
    return nodes
