"""Allocation of the customers that somebody just touched, in the transaction that touched them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.store.allocation import Counts
from services.assignment_svc.store.allocation_sql import ALLOCATE_NAMED

# Of few customers planning costs more than deciding, and every plan is one over indexes: made once, kept for all.
_FEW = 100
_SETTINGS_FEW = text("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")
_SETTINGS_MANY = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '96MB', true)"
)
_PARAMETERS = ("grace_days", "run_off_days", "challenge_percent", "return_months", "protection_idle_days")


async def allocate_now(
    tx: AsyncConnection, customer_ids: Sequence[str], day: date, policy: Policy, actor: str
) -> Counts:
    """Decides over these customers as the night of `day` would, and stores what changed as made by `actor`.

    The caller has passed the gate and locked them (store/gate.py). Staff are active where they are so now. The night
    that follows finds nothing to change; followers are told of what changed. How statements are planned stays set until
    `tx` ends.
    """
    few = len(customer_ids) <= _FEW
    await tx.execute(_SETTINGS_FEW if few else _SETTINGS_MANY)
    parameters = asdict(policy)
    given = {name: parameters[name] for name in _PARAMETERS}
    row = (
        await tx.execute(ALLOCATE_NAMED, {**given, "customer_ids": list(customer_ids), "day": day, "actor": actor})
    ).one()
    return Counts(row.customer_count, row.changed_customer_count, row.changed_row_count)
