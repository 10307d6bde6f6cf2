"""Keeps partitions ready for the months to come."""

import asyncio

from chassis.sql.engine import Database
from chassis.sql.partitions import add_coming_months

EVERY_SECONDS = 6 * 3600.0
PARTITIONED = ("transactions", "alerts", "audit")


async def keep_partitions(database: Database) -> None:
    """Adds partitions for this month and the next two, four times a day."""
    while True:
        await add_coming_months(database, PARTITIONED)
        await asyncio.sleep(EVERY_SECONDS)
