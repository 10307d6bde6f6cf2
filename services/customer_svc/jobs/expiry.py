"""Lets go what has passed its last day, and the private managers of who is no key customer any more."""

import asyncio

import grpc
import structlog

from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.customer_svc.peers.private_managers import end_private_manager
from services.customer_svc.store import customers, key_marks, key_proposals, tag_sync
from services.customer_svc.store.facts import FEED

EXPIRE_EVERY_SECONDS = 3600.0
RECONCILE_EVERY_SECONDS = 60.0
_BATCH = 100
# So many in a row that could not be ended: assignment_svc is away, and is asked again later.
_MISSES_MAX = 3
_REASON = "key mark ended"

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def expire_always(database: Database, wakeups: Wakeups) -> None:
    """Once an hour, in one instance at a time: tags, overrides and marks by hand, as of the business date.

    What is over after a night goes with its import, but for what is too much at once.
    """
    while True:
        await expire(database, wakeups)
        await asyncio.sleep(EXPIRE_EVERY_SECONDS)


async def expire(database: Database, wakeups: Wakeups) -> tuple[int, int]:
    """Lets go what has passed its last day: customers whose tags, and marks by hand, changed by that."""
    async with database.read() as conn:
        day = await customers.business_day(conn)
    tags = 0
    while (some := await database.repeat(lambda tx: tag_sync.expire(tx, day))) > 0:
        tags += some
    marks = await database.repeat(lambda tx: key_proposals.expire(tx, day))
    if marks:
        await wakeups.notify(FEED)
    return tags, marks


async def reconcile_always(database: Database, channel: grpc.aio.Channel) -> None:
    """Once a minute, in one instance at a time: ends private managers whose customer is no key customer any more."""
    while True:
        await reconcile(database, channel)
        await asyncio.sleep(RECONCILE_EVERY_SECONDS)


async def reconcile(database: Database, channel: grpc.aio.Channel) -> int:
    """Asks for an end of what should have ended, some at a time, and says how many did; the rest is asked again later.

    It goes by what is, not by what happened: nothing is lost while assignment_svc is away.
    """
    ended, missed, after = 0, 0, ""
    while missed < _MISSES_MAX:
        async with database.read() as conn:
            found = await key_marks.outlived_private_managers(conn, after, _BATCH)
        for customer_id, staff_id in found:
            after = customer_id
            if await end_private_manager(channel, customer_id, staff_id, _REASON):
                ended, missed = ended + 1, 0
                continue
            log.warning("private_manager_not_ended", customer=customer_id)
            missed += 1
            if missed >= _MISSES_MAX:
                break
        if len(found) < _BATCH:
            break
    return ended
