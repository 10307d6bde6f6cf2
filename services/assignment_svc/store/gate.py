"""The gate between nights and people: a batch of a night and a manual change never work at the same time.

Many batches pass it together, and so do many manual changes; who wants the other way waits for those inside. So no
night overwrites what a person just did, and nobody acts on what a night is about to change. Whoever passes does so
first of all, then locks the customers' `ownership` rows in the order of ids, then staff: nobody waits in a circle.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from services.assignment_svc.store.business_day import DAY

_FOR_NIGHT = text("LOCK TABLE allocation_gate IN SHARE MODE")
_BY_HAND = text("LOCK TABLE allocation_gate IN ROW EXCLUSIVE MODE")
_PROGRESS = text(
    f"SELECT business_date IS NOT NULL AND facts_date IS NULL AS busy, {DAY} AS day FROM allocation_day"  # noqa: S608 -- our own words
)
_LOCK_ROOTS = text(
    "SELECT customer_id FROM ownership WHERE customer_id = ANY (CAST(:customer_ids AS text[])) AND NOT gone"
    " ORDER BY customer_id FOR UPDATE"
)


async def pass_as_night(tx: AsyncConnection) -> None:
    """Waits until no manual change is under way, and keeps them out until `tx` ends."""
    await tx.execute(_FOR_NIGHT)


async def pass_by_hand(tx: AsyncConnection) -> date:
    """Waits until no batch of a night is under way, keeps them out until `tx` ends, and returns the day to decide by.

    Refuses for now while facts are being replaced: half of them would decide.
    """
    await tx.execute(_BY_HAND)
    so_far = (await tx.execute(_PROGRESS)).one()
    if so_far.busy:
        raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "facts are being imported; try again when they are there")
    return so_far.day


async def lock_customers(tx: AsyncConnection, customer_ids: Sequence[str]) -> frozenset[str]:
    """Lets nobody else change these customers' ownership until `tx` ends; returns those who have one.

    In the order of ids; to be called once, before staff are locked.
    """
    return frozenset((await tx.execute(_LOCK_ROOTS, {"customer_ids": list(customer_ids)})).scalars())
