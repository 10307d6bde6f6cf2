"""Decides anew over the customers whose facts changed within the day, some at a time."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store import allocation, changed_facts, gate
from services.assignment_svc.store.allocate_now import allocate_now
from services.assignment_svc.store.allocation import Counts

# People who change ownership by hand wait for a batch no longer than for one another.
BATCH_CUSTOMERS = 2_000


async def allocate_some(tx: AsyncConnection) -> Counts | None:
    """Decides over some of those who wait and stores what changed; None if nobody waits.

    No night: it counts no date, and the night that follows finds nothing to change. Passes the gate as people do, since
    a night's batch may decide over the same customers. Refuses for now while facts are being replaced.
    """
    day = await gate.pass_by_hand(tx)
    customer_ids = await changed_facts.take(tx, BATCH_CUSTOMERS)
    if not customer_ids:
        return None
    await gate.lock_customers(tx, customer_ids)
    policy = await allocation.policy_in_force(tx, day)
    return await allocate_now(tx, customer_ids, day, policy, "allocation")
