"""Which source a feed speaks for: a node, and its epoch, which grows when its past may have changed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database

# A dump that was restored elsewhere has another system identifier; one that was restored to a point in time, or a
# standby that took over, another timeline.
_SERVER = """(SELECT system_identifier::text FROM pg_control_system())
 || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"""

_LOOK = text(f"""
SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s), statement_timestamp(), e.node, e.epoch,
  e.server IS NOT DISTINCT FROM {_SERVER}
FROM pg_current_snapshot() AS s LEFT JOIN feed_epoch AS e ON true""")  # noqa: S608 - our own text

_RENEW = text(f"""
INSERT INTO feed_epoch AS e (node, epoch, server) VALUES (gen_random_uuid()::text, 1, {_SERVER})
ON CONFLICT (only_row) DO UPDATE SET epoch = e.epoch + 1, server = excluded.server
WHERE CAST(:forced AS boolean) OR e.server <> excluded.server
RETURNING epoch""")  # noqa: S608 - our own text

# The audit's rows are sealed with their revision: they must not change.
_VERSIONED_TABLES = text("""
SELECT format('%I.%I', c.table_schema, c.table_name) FROM information_schema.columns AS c
JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE c.column_name = 'rev' AND c.udt_name = 'xid8' AND t.table_type = 'BASE TABLE'
AND c.table_name !~ '^audit'""")


@dataclass(frozen=True)
class Look:
    """What a source looks like at one moment: transactions below `oldest` are over, from `unborn` on not begun."""

    oldest: int
    unborn: int
    time: datetime
    node: str
    epoch: int


async def look(database: Database, tx: AsyncConnection) -> Look:
    """Looks at the source; renews its epoch first if its server is not the one that it was."""
    oldest, unborn, time, node, epoch, is_same = (await tx.execute(_LOOK)).one()
    if not is_same:
        await renew_epoch(database, forced=False)
        oldest, unborn, time, node, epoch, _ = (await tx.execute(_LOOK)).one()
    return Look(oldest, unborn, time, node, epoch)


async def renew_epoch(database: Database, *, forced: bool = True) -> None:
    """Begins a new epoch: every follower reads everything again and drops what it then lacks.

    What an operator does after restoring data. Not forced, only if the server is another one than before.
    """
    async with database.begin() as tx:
        epoch = (await tx.execute(_RENEW, {"forced": forced})).scalar_one_or_none()
        if epoch is None or epoch == 1:
            return
        for table in (await tx.execute(_VERSIONED_TABLES)).scalars().all():
            # Another server counts its transactions from elsewhere: rows "of the future" would never be read.
            statement = f"UPDATE {table} SET rev = pg_current_xact_id() WHERE rev > pg_current_xact_id()"  # noqa: S608
            await tx.execute(text(statement))
