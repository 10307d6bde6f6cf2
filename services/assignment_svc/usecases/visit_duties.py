"""Shows whom managers are to visit and what their visits come to, and sets the policy of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import Violation, invalid_field, invalid_fields, not_found
from chassis.sql.audit import audit, audit_reads
from chassis.written_texts import text_fault
from policy.visibility import Scope
from services.assignment_svc.domain.reasons import REASON_LENGTH_MAX
from services.assignment_svc.domain.visit_duties import DueVisit, VisitPolicy, next_month, policy_faults
from services.assignment_svc.domain.visit_views import supervised_by
from services.assignment_svc.store import org, visit_duties, visit_policies, visits
from services.assignment_svc.store.visit_duties import DueOf, DuePlace, VisitSummary
from services.assignment_svc.usecases.read_ownership import Reader, scope_of_caller


@dataclass(frozen=True)
class DueAsked:
    """Whose due visits of which month, from where on; without a manager those of a branch."""

    manager_id: str | None
    branch_id: str | None
    month: date | None
    with_done: bool
    after: DuePlace | None


@dataclass(frozen=True)
class SummaryAsked:
    """Which branch's summaries of which month, from after which manager on."""

    branch_id: str
    month: date | None
    with_subtree: bool
    after: str


async def list_due(conn: AsyncConnection, reader: Reader, asked: DueAsked, limit: int) -> Sequence[DueVisit]:
    """Whom a manager or a branch's managers are to visit; at most so many, what is most overdue first."""
    month = await _month(conn, asked.month)
    scope = await scope_of_caller(conn, reader.caller)
    supervised = supervised_by(scope)
    as_private = True
    if asked.manager_id is not None and _stands_for(asked.manager_id, reader.caller, scope):
        branch_ids = None if asked.branch_id is None else frozenset({asked.branch_id})
        # Who covers a colleague as a manager does not cover him as a private manager too.
        as_private = any(grant.private_manager_id == asked.manager_id for grant in scope.grants)
    elif asked.branch_id is not None:
        branch_ids = supervised & {asked.branch_id}
    else:
        branch_ids = (
            supervised if asked.manager_id and await _heads(conn, asked.manager_id, supervised) else frozenset()
        )
    if branch_ids is not None and not branch_ids:
        raise not_found()
    of = DueOf(asked.manager_id, branch_ids, scope.near, as_private)
    found = await visit_duties.due_visits(conn, month, of, asked.after, limit, with_done=asked.with_done)
    await audit_reads(conn, reader.entry, {one.customer_id for one in found})
    return found


async def list_summaries(
    conn: AsyncConnection, caller: Caller, asked: SummaryAsked, limit: int
) -> Sequence[VisitSummary]:
    """What the visits of a month come to for each manager of a branch, for who heads it."""
    month = await _month(conn, asked.month)
    supervised = supervised_by(await scope_of_caller(conn, caller))
    if asked.branch_id not in supervised:
        raise not_found()
    below = await org.subtree(conn, asked.branch_id) if asked.with_subtree else frozenset({asked.branch_id})
    return await visit_duties.summaries(conn, month, below & supervised, asked.after, limit)


async def create_policy(tx: AsyncConnection, reader: Reader, policy: VisitPolicy) -> VisitPolicy:
    """Sets a version of the policy that starts with a month to come."""
    _, today = await visits.moment(tx)
    faults = [Violation(f"visit_policy.{field}", said) for field, said in policy_faults(policy, today)]
    if fault := text_fault(policy.reason, REASON_LENGTH_MAX):
        faults.append(Violation("visit_policy.reason", fault))
    if faults:
        raise invalid_fields(faults)
    version = await visit_policies.add(tx, policy, reader.caller.staff_id)
    await audit(tx, [reader.entry])
    return await get_policy(tx, version)


async def get_policy(conn: AsyncConnection, version: int) -> VisitPolicy:
    """One version of the policy."""
    found = await visit_policies.get(conn, version)
    if found is None:
        raise not_found()
    return found


async def _month(conn: AsyncConnection, asked: date | None) -> date:
    """The month asked for, or this one."""
    _, today = await visits.moment(conn)
    if asked is not None and asked >= next_month(today):
        raise invalid_field("month_date", "must not lie in a later month")
    return asked or today


def _stands_for(manager_id: str, caller: Caller, scope: Scope) -> bool:
    """Says whether the caller is the manager, or stands in for him."""
    covered = {grant.manager_id for grant in scope.grants} | {grant.private_manager_id for grant in scope.grants}
    return manager_id == caller.staff_id or manager_id in covered


async def _heads(conn: AsyncConnection, manager_id: str, supervised: frozenset[str]) -> bool:
    staff = await org.get_staff(conn, manager_id)
    return staff is not None and staff.branch_id in supervised
