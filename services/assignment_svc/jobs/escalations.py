"""Lets no request wait longer than it may."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.store.ownerships import FEED
from services.assignment_svc.usecases import escalations

_EVERY_SECONDS = 60.0

log = structlog.get_logger(__name__)


async def watch_deadlines(database: Database, wakeups: Wakeups) -> None:
    """Every minute: asks the next level, ends what nobody answered, and finds who answers now.

    One instance leads; that two do it for a moment harms nothing, since each step takes only what is due and free.
    """
    while True:
        await run_once(database, wakeups)
        await asyncio.sleep(_EVERY_SECONDS)


async def run_once(database: Database, wakeups: Wakeups) -> None:
    """Does all that is due now."""
    await _all(database, escalations.escalate)
    await database.repeat(escalations.seat_anew)
    await _all(database, escalations.forget_names)
    try:
        ended = await _all(database, escalations.expire)
    except Refused as refused:
        if refused.kind is not Kind.UNAVAILABLE:
            raise
        # Facts are being imported: nobody's ownership is decided now.
        log.info("expiry_waits", reason=refused.reason)
    else:
        if ended:
            await wakeups.notify(FEED)


async def _all(database: Database, step: Callable[[AsyncConnection], Awaitable[int]]) -> int:
    total = 0
    while done := await database.repeat(step):
        total += done
        if done < escalations.AT_ONCE:
            break
    return total
