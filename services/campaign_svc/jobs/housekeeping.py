"""Forgets what nobody needs any more, and makes room for what will come."""

import asyncio

from chassis.sql.engine import Database
from chassis.sql.idempotency import forget_answers
from chassis.sql.partitions import add_coming_months

EVERY_SECONDS = 3600.0
PARTITIONED = ("contacts", "audit")


async def keep_house(database: Database) -> None:
    """Deletes old answers and adds partitions for this month and the next two, every hour."""
    while True:
        await forget_answers(database)
        await add_coming_months(database, PARTITIONED)
        await asyncio.sleep(EVERY_SECONDS)
