"""Makes the audit's partitions of the coming months."""

import asyncio

from chassis.sql.engine import Database
from chassis.sql.partitions import add_coming_months

PARTITIONED = ("audit",)
_EVERY_SECONDS = 86_400.0


async def keep_partitions(database: Database) -> None:
    """Once a day makes the months to come, so that rows do not gather in the partition for the rest."""
    while True:
        await add_coming_months(database, PARTITIONED)
        await asyncio.sleep(_EVERY_SECONDS)
