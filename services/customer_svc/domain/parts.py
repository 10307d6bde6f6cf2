"""What other services tell of a customer, each as its caller may see it there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from policy.visibility import Side


@dataclass(frozen=True)
class OwnershipPeriod:
    """One row of ownership, past or present (no `until_date`). `rule` is the one that made it."""

    branch_id: str
    side: Side
    manager_id: str | None
    rule: str
    since_date: date | None
    from_date: date
    until_date: date | None
    actor: str
    create_time: datetime | None = None


@dataclass(frozen=True)
class Contact:
    """A contact under its resource name; what the caller may not see of it is empty."""

    contact: str
    channel: str
    contact_time: datetime
    state: str
    product: str = ""
    campaign: str = ""
    outcome: str = ""
    actor: str = ""


@dataclass(frozen=True)
class Alert:
    """An alert under its resource name."""

    alert: str
    kind: str
    state: str
    branch_id: str | None
    business_date: date
    event_time: datetime
    sum_minor: int | None = None


@dataclass(frozen=True)
class Task:
    """A task under its resource name."""

    task: str
    title: str
    assignee: str
    due_date: date | None
    create_time: datetime


@dataclass(frozen=True)
class Missing:
    """A part that could not be had, and why."""

    part: str
    reason: Literal["UNAVAILABLE", "TIMEOUT"]


@dataclass(frozen=True)
class Parts:
    """All that a customer's page shows of other services."""

    ownership_periods: Sequence[OwnershipPeriod] = ()
    contacts: Sequence[Contact] = ()
    alerts: Sequence[Alert] = ()
    tasks: Sequence[Task] = ()
    missing: Sequence[Missing] = ()

    def rule_of(self, branch_id: str) -> str:
        """The rule that made a branch's present row; empty if it is not known."""
        return next(
            (one.rule for one in self.ownership_periods if one.branch_id == branch_id and one.until_date is None), ""
        )
