"""Keeps nights and imports of facts out, for who moves facts himself."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.import_locks import try_lock_imports
from services.assignment_svc.store import allocation, gate

# Why it refuses.
BUSY = "DATABASE_BUSY"


async def keep_still(tx: AsyncConnection) -> date | None:
    """Keeps nights and imports of facts out until `tx` ends, and returns the day to decide by.

    None before the first night: nobody has an owner yet. Refuses for now if a night or an import is under way.
    """
    await gate.pass_by_hand(tx)
    alone = text("SELECT pg_try_advisory_xact_lock(:key)")
    is_alone: bool = (await tx.execute(alone, {"key": allocation.ALLOCATION_LOCK})).scalar_one()
    if not (is_alone and await try_lock_imports(tx, "branch_facts")):
        raise _busy()
    so_far = await allocation.hold_progress(tx)
    if so_far.business_date is not None and so_far.facts_date is None:
        raise _busy()
    # What was imported since the last night is decided as of its own date, as the night to come will.
    return so_far.known_date if so_far.business_date is not None else None


def _busy() -> Refused:
    return Refused(Kind.UNAVAILABLE, BUSY, "a night is under way; try again when it has ended")
