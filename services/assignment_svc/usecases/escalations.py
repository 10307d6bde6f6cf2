"""Asks the next level for what nobody answered in time, and ends what nobody answered at all (domain.md 3)."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store import allocation, gate, manual_changes, request_deadlines, request_desks
from services.assignment_svc.store.allocate_now import allocate_now
from services.assignment_svc.store.business_day import business_day

AT_ONCE = 500
NAMES_KEPT_DAYS = 90


async def escalate(tx: AsyncConnection) -> int:
    """Asks the next level of some requests that are due; how many. Whatever is due and free is found, once each."""
    request_ids = await request_deadlines.escalate(tx, AT_ONCE)
    if request_ids:
        await request_desks.seat(tx, await business_day(tx), request_ids)
    return len(request_ids)


async def seat_anew(tx: AsyncConnection) -> int:
    """Finds who answers now where heads came, left or stand in by a delegate; how many sides changed."""
    return await request_desks.seat(tx, await business_day(tx))


async def forget_names(tx: AsyncConnection) -> int:
    """Forgets whom some pulls named that came to nothing long ago: most likely he never heard of it."""
    return await request_deadlines.forget_names(tx, NAMES_KEPT_DAYS, AT_ONCE)


async def expire(tx: AsyncConnection) -> int:
    """Ends some requests that nobody answered; their customers are free again, and allocated without their holds."""
    overdue = await request_deadlines.overdue(tx, AT_ONCE)
    if not overdue:
        return 0
    day = await gate.pass_by_hand(tx)
    await gate.lock_customers(tx, sorted({one.customer_id for one in overdue}))
    ended = await request_deadlines.expire(tx, overdue)
    freed = [one.customer_id for one in ended if await manual_changes.end_hold(tx, one.customer_id, one.request_id)]
    if freed:
        policy = await allocation.policy_in_force(tx, day)
        await allocate_now(tx, sorted(freed), day, policy, request_deadlines.ACTOR)
    return len(ended)
