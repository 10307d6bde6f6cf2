"""Deletes for good the notes and attachments that can be brought back no more."""

import asyncio

from chassis.sql.engine import Database
from services.customer_svc.store import attachments, notes

_EVERY_SECONDS = 3600.0
_BATCH = 1_000


async def forget_deleted(database: Database) -> None:
    """Once an hour; to run in one instance at a time."""
    while True:
        await forget_once(database)
        await asyncio.sleep(_EVERY_SECONDS)


async def forget_once(database: Database) -> None:
    """Deletes what is over now, some at a time."""
    for forget in (notes.forget_deleted, attachments.forget_deleted):
        while True:
            async with database.begin() as tx:
                gone = await forget(tx, _BATCH)
            if gone < _BATCH:
                break
