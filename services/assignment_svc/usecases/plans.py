"""Makes planned changes of branches and staff, in the order of their days; what cannot be made any more has failed."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Refused
from services.assignment_svc.domain.org_changes import Plan, PlanState, Subject
from services.assignment_svc.store import org_changes
from services.assignment_svc.store.org_changes import Telling
from services.assignment_svc.usecases.change_branches import apply_to_branch
from services.assignment_svc.usecases.change_staff import apply_to_staff

_METHOD = "ApplyPlannedOrgChange"


async def apply_next(tx: AsyncConnection) -> Plan | None:
    """Makes the next plan whose day has come and tells what became of it; None if there is none.

    The organisation is locked first, so that of several instances one makes it. A plan that is refused leaves nothing
    but its failure.
    """
    due = await org_changes.plans_until(tx, await org_changes.today(tx))
    if not due:
        return None
    await org_changes.lock_org(tx)
    plan = await org_changes.get_plan(tx, due[0].plan_id, lock=True)
    if plan is None or plan.state is not PlanState.PENDING:
        return await apply_next(tx)
    await org_changes.tell(tx, Telling(plan.actor, _METHOD, plan.plan_id, plan.reason), plan.effective_date)
    try:
        async with tx.begin_nested():
            await (apply_to_branch if plan.subject is Subject.BRANCH else apply_to_staff)(tx, plan)
    except Refused as refused:
        return await org_changes.end_plan(tx, plan.plan_id, PlanState.FAILED, f"{refused.reason}: {refused.message}")
    return await org_changes.end_plan(tx, plan.plan_id, PlanState.APPLIED)
