"""Lets ownership follow the facts that come within a day, within seconds."""

import asyncio

import structlog

from chassis.errors import Refused
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.store import changed_facts, ownerships
from services.assignment_svc.usecases.allocate_changed import allocate_some

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 5.0
_PAUSE_SECONDS = 1.0


async def allocate_changed(database: Database, wakeups: Wakeups) -> None:
    """Decides anew over whose facts changed: after a wake-up, else every few seconds; on every instance.

    Instances share the work: each takes customers whom no other has.
    """
    with wakeups.listening(changed_facts.WAKE_UP) as listener:
        while True:
            try:
                await _work_off(database, wakeups)
            except Refused as refused:
                # Facts are being replaced: those who wait go on waiting.
                log.info("changed_facts_wait", reason=refused.reason)
                await asyncio.sleep(_PAUSE_SECONDS)
            await listener.wait(_LOOK_SECONDS)


async def _work_off(database: Database, wakeups: Wakeups) -> None:
    async with database.read() as conn:
        goes_on = await changed_facts.waiting(conn)
    while goes_on:
        counts = await database.repeat(allocate_some)
        goes_on = counts is not None
        if counts and counts.changed_customers:
            log.info("changed_facts_allocated", customers=counts.customers, changed=counts.changed_customers)
            await wakeups.notify(ownerships.FEED)
