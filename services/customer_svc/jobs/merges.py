"""Does what approved merges consist of, and looks for duplicates after each night; one instance at a time."""

import asyncio

import grpc
import structlog

from chassis.errors import Refused
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.customer_svc.store import duplicates, merges
from services.customer_svc.store.facts import FEED
from services.customer_svc.usecases.duplicates import find_duplicates
from services.customer_svc.usecases.run_merges import Peers, run_merge

LOOK_SECONDS = 1.0
# What could not be done, since a night is under way or a service is away, is tried again then.
RETRY_SECONDS = 5.0
FIND_EVERY_SECONDS = 60.0
_AT_ONCE = 20

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def run_always(database: Database, peers: Peers, wakeups: Wakeups) -> None:
    """Goes on with merges for ever."""
    while True:
        done, left = await run_some(database, peers)
        if done:
            await wakeups.notify(FEED)
        await asyncio.sleep(RETRY_SECONDS if left else LOOK_SECONDS)


async def run_some(database: Database, peers: Peers) -> tuple[int, int]:
    """Goes on with what is to be done, the oldest first: how many merges it finished, and how many must wait."""
    async with database.read() as conn:
        found = await merges.to_do(conn, _AT_ONCE)
    done = 0
    for merge in found:
        try:
            await run_merge(database, peers, merge)
        except (grpc.aio.AioRpcError, Refused) as error:
            log.warning("merge_waits", merge=merge.merge_id, error=repr(error))
        else:
            done += 1
    return done, len(found) - done


async def find_nightly(database: Database) -> None:
    """Looks for duplicates whenever the customers of another business date have come."""
    while True:
        await find_if_due(database)
        await asyncio.sleep(FIND_EVERY_SECONDS)


async def find_if_due(database: Database) -> int | None:
    """Looks for duplicates if customers came since the last search; how many are open then, None if none came."""
    async with database.read() as conn:
        if await duplicates.due_date(conn) is None:
            return None

    async def goes_on(_count: int) -> bool:
        await asyncio.sleep(0)
        return True

    return await find_duplicates(database, goes_on)
