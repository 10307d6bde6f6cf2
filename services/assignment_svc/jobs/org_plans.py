"""Makes what was planned of branches and staff, on its day."""

import asyncio

import structlog

from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.store import org
from services.assignment_svc.usecases.plans import apply_next

_LOOK_SECONDS = 30.0

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def apply_plans(database: Database, wakeups: Wakeups) -> None:
    """A job for every instance: one plan after the other, each in a transaction of its own."""
    while True:
        plan = await database.repeat(apply_next)
        if plan is None:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        log.info("org_plan_ended", plan=plan.plan_id, state=plan.state.value, failure=plan.failure)
        await wakeups.notify(org.FEED)
