"""Partitions of the months to come, so that rows do not gather in the partition for the rest."""

from collections.abc import Sequence

from sqlalchemy import text

from chassis.sql.engine import Database

_ADD = text("SELECT add_month_partitions(:parent, bank_now()::date, (bank_now() + interval '2 months')::date)")


async def add_coming_months(database: Database, parents: Sequence[str]) -> None:
    """Makes sure that each table has partitions for this month and the next two; harmless to repeat."""
    for parent in parents:
        async with database.begin() as tx:
            await tx.execute(text("SET LOCAL lock_timeout = '3s'"))
            await tx.execute(_ADD, {"parent": parent})
