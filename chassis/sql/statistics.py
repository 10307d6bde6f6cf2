"""Statistics for the planner, made anew as soon as much was written: autovacuum comes up to a minute later."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import begun

# Of fewer rows any plan is good enough.
_CHANGED_MIN = 1_000
# One in so many rows that PostgreSQL believes there are; those who were never counted are none.
_CHANGED_PART = 5
_BELIEVED = text(
    "SELECT oid::regclass::text, greatest(reltuples, 0) AS believed FROM pg_class"
    " WHERE oid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name) ORDER BY oid"
)


async def refresh_statistics(connection: AsyncConnection, tables: Sequence[str], changed: int) -> list[str]:
    """Analyses those of the tables of which `changed` rows are much, and returns them; none if a name is no table's.

    Each in a transaction of its own, in which it only reads until its end, so no feed waits for it. A table that
    somebody else is analysing is left to him.
    """
    if changed < _CHANGED_MIN:
        return []
    async with begun(connection):
        rows = (await connection.execute(_BELIEVED, {"names": list(tables)})).all()
    refreshed = [name for name, believed in rows if changed * _CHANGED_PART >= believed]
    for name in refreshed:
        async with begun(connection):
            await connection.execute(text(f"ANALYZE (SKIP_LOCKED) {name}"))
    return refreshed
