"""Carries out erasures whose time has come, and deletes files of personal data; one instance at a time."""

import asyncio

import structlog

from chassis.errors import Refused
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from services.customer_svc.store import erasures
from services.customer_svc.store.facts import FEED
from services.customer_svc.usecases.export_personal_data import drop_expired
from services.customer_svc.usecases.run_erasures import Peers, run_erasure, suppress_some

LOOK_SECONDS = 30.0
_AT_ONCE = 20

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


async def keep_promises(database: Database, peers: Peers, wakeups: Wakeups) -> None:
    """Looks twice a minute for what is to be erased or deleted."""
    while True:
        if await erase_due(database, peers):
            await wakeups.notify(FEED)
        await drop_expired(database)
        await asyncio.sleep(LOOK_SECONDS)


async def erase_due(database: Database, peers: Peers) -> int:
    """Goes on with the erasures that are due and says how many it finished; the others are tried again."""
    async with database.read() as conn:
        due = await erasures.due(conn, _AT_ONCE)
    done = 0
    for erasure in due:
        try:
            done += await run_erasure(database, peers, erasure)
        except Refused as refused:
            log.warning("erasure_waits", erasure=erasure.erasure_id, reason=refused.reason, answer=refused.message)
    try:
        await suppress_some(database, peers)
    except Refused as refused:
        log.warning("suppression_waits", reason=refused.reason, answer=refused.message)
    return done
