"""What all changes of branches and staff share: refusals, plans for later days, and the plans' days."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, Violation, invalid_field, not_found
from services.assignment_svc.domain.org_changes import TREE_BRANCHES_MAX as BRANCHES_MAX
from services.assignment_svc.domain.org_changes import Fault, Node, Plan, PlanState, tree_on
from services.assignment_svc.store import org, org_changes, org_writes
from services.assignment_svc.store.org_changes import Telling, WantedPlans

# How a fault's word is refused; whatever is not here is the request's own fault.
_KINDS = {
    "LOGIN_TAKEN": Kind.ALREADY_EXISTS,
    "BRANCH_CLOSED": Kind.PRECONDITION,
    "OWN_ACCOUNT": Kind.FORBIDDEN,
    "ETAG_OLD": Kind.CONFLICT,
    "NOT_FOUND": Kind.NOT_FOUND,
}
_SEES_PLANS = frozenset({Role.ADMIN, Role.AUDITOR})


@dataclass(frozen=True)
class When:
    """The day of a change, and today."""

    day: date
    today: date

    @property
    def is_later(self) -> bool:
        return self.day > self.today


async def when(tx: AsyncConnection, effective_date: date | None) -> When:
    """When a change takes effect; refuses a day that has passed."""
    today = await org_changes.today(tx)
    if effective_date is not None and effective_date < today:
        raise invalid_field("effective_date", f"must not be before today, {today.isoformat()}")
    return When(effective_date or today, today)


def refuse(faults: Sequence[Fault], prefix: str = "", **metadata: str) -> None:
    """Refuses with the first fault's word, and all of them as fields; without faults nothing happens."""
    if not faults:
        return
    first = faults[0]
    violations = [Violation(prefix + fault.field, fault.description) for fault in faults]
    message = f"{prefix}{first.field}: {first.description}"
    raise Refused(_KINDS.get(first.reason, Kind.INVALID), first.reason, message, metadata, violations)


def check_etag(etag: str, current: str) -> None:
    """Refuses who did not read what is there now."""
    if etag != current:
        raise Refused(Kind.CONFLICT, "ETAG_OLD", "somebody changed it: read it again", {"etag": etag})


async def withdraw_plan(tx: AsyncConnection, telling: Telling, plan_id: str) -> Plan:
    """Takes back what is pending."""
    plan = await org_changes.get_plan(tx, plan_id, lock=True)
    if plan is None:
        raise not_found()
    if plan.state is not PlanState.PENDING:
        message = "the planned change is no longer pending"
        raise Refused(Kind.PRECONDITION, "PLAN_ENDED", message, {"state": plan.state.value})
    await org_changes.tell(tx, telling)
    return await org_changes.end_plan(tx, plan_id, PlanState.WITHDRAWN)


async def list_plans(
    conn: AsyncConnection, caller: Caller, wanted: WantedPlans, after: tuple[date, str] | None, limit: int
) -> Sequence[Plan]:
    """Planned changes by their day and id; a head is told of branches, and of the staff of his own and those below."""
    if not caller.roles & _SEES_PLANS:
        wanted = replace(wanted, branch_ids=await org.subtree(conn, caller.branch_id))
    return await org_changes.list_plans(conn, wanted, after, limit)


@dataclass(frozen=True)
class Tree:
    """A branch with all below it on a day."""

    day: date
    nodes: Sequence[Node]


async def tree(conn: AsyncConnection, branch_id: str, day: date | None, *, show_closed: bool) -> Tree:
    """The tree below a branch as it stood, stands or is planned to stand; refuses a root that was not there."""
    today = await org_changes.today(conn)
    asked = day or today
    branches = await org_writes.all_branches(conn, BRANCHES_MAX + 1)
    if len(branches) > BRANCHES_MAX:
        given: dict[str, Any] = {"limit": str(BRANCHES_MAX)}
        raise Refused(Kind.EXHAUSTED, "TREE_TOO_LARGE", f"there are more than {BRANCHES_MAX} branches", given)
    # Later days are not in the periods: those tell what is so now without an end.
    periods = await org_changes.periods_on(conn, asked)
    plans = await org_changes.plans_until(conn, asked) if asked > today else []
    nodes = tree_on(asked, branch_id, branches, periods, plans, show_closed=show_closed)
    if not nodes and await org.get_branch(conn, branch_id) is None:
        raise not_found()
    return Tree(asked, nodes)
