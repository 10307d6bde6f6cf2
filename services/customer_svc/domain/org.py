"""Branches, staff and revoked sessions, as far as customer_svc needs them."""

from dataclasses import dataclass
from datetime import date, datetime

from chassis.acting import Acting


@dataclass(frozen=True)
class Branch:
    branch_id: str
    parent_id: str | None
    display_name: str


@dataclass(frozen=True)
class Staff:
    staff_id: str
    branch_id: str
    display_name: str
    roles: frozenset[str]
    active_from_date: date | None
    active_until_date: date | None


@dataclass(frozen=True)
class RevokedSession:
    session_id: str
    expire_time: datetime


@dataclass(frozen=True)
class Gone:
    """A branch or a member of staff that is no more."""

    branch_id: str = ""
    staff_id: str = ""


OrgItem = Branch | Staff | RevokedSession | Acting | Gone
