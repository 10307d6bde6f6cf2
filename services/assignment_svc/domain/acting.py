"""Who covers a colleague's role for some days (domain.md 3, acting manager): what must hold before it is arranged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chassis.errors import Kind, Refused, Violation, invalid_fields
from policy.visibility import Covered
from services.assignment_svc.domain.organisation import OrgItem, Staff
from services.assignment_svc.domain.reasons import reason_fault

__all__ = ["ActingManager", "Arranged", "Covered", "OrgThing", "check_days", "check_free", "check_people"]

ROLES = ("BRANCH_HEAD", "MANAGER", "PRIVATE_MANAGER")
"""The roles that can be covered: those by which somebody sees customers of his own."""
DAYS_MAX = 180
LEFT = "assignment_svc"
"""Who ends it when one of the two is no longer active with the role."""


@dataclass(frozen=True)
class Arranged:
    """What the head wants: who covers which role of whom, on which days, both included."""

    branch_id: str
    acting_id: str
    covered_id: str
    role: str
    from_date: date
    until_date: date
    reason: str


@dataclass(frozen=True)
class ActingManager:
    """Somebody who covers a colleague, or did. `over`: it was ended, or its last day has passed."""

    acting_manager_id: str
    arranged: Arranged
    creator: str
    create_time: datetime
    end_time: datetime | None = None
    end_actor: str = ""
    end_reason: str = ""
    over: bool = False


OrgThing = OrgItem | ActingManager
"""What the org feed tells of."""


def check_days(arranged: Arranged, today: date) -> None:
    """Refuses days that are past, in the wrong order or too many, a role that nobody covers, and a text too long."""
    last = arranged.from_date + timedelta(days=DAYS_MAX)
    wrong = {
        "from_date": "is past" if arranged.from_date < today else "",
        "until_date": "is before the first day"
        if arranged.until_date < arranged.from_date
        else f"is more than {DAYS_MAX} days after the first day"
        if arranged.until_date > last
        else "",
        "role": "" if arranged.role in ROLES else f"must be one of {', '.join(ROLES)}",
        "acting": "is who is covered" if arranged.acting_id == arranged.covered_id else "",
        "reason": reason_fault(arranged.reason),
    }
    faults = [Violation(f"acting_manager.{field}", problem) for field, problem in wrong.items() if problem]
    if faults:
        raise invalid_fields(faults)


def check_people(arranged: Arranged, acting: Staff | None, covered: Staff | None) -> None:
    """Refuses whoever is not active with the role on the first day; who is covered works at the branch."""
    for staff_id, staff, branch_id in (
        (arranged.acting_id, acting, None),
        (arranged.covered_id, covered, arranged.branch_id),
    ):
        fits = staff is not None and staff.is_active(arranged.from_date) and arranged.role in staff.roles
        if not fits or (branch_id is not None and staff is not None and staff.branch_id != branch_id):
            place = f" of {branch_id}" if branch_id else ""
            message = f"{staff_id} is no active staff member{place} with the role {arranged.role}"
            raise Refused(Kind.PRECONDITION, "ACTING_UNFIT", message, {"staff": staff_id})


def check_free(arranged: Arranged, others: Sequence[ActingManager]) -> None:
    """Refuses a second one for the same colleague's role on one of the days."""
    for other in others:
        if other.arranged.from_date <= arranged.until_date and arranged.from_date <= other.arranged.until_date:
            given = {"acting_manager": other.acting_manager_id, "until_date": other.arranged.until_date.isoformat()}
            message = f"somebody covers {arranged.covered_id} already until {other.arranged.until_date.isoformat()}"
            raise Refused(Kind.PRECONDITION, "ACTING_OVERLAPS", message, given)
