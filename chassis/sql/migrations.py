"""Brings a service's database to its schema: one at a time, and never waiting long for a lock that stops the bank."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from chassis.sql.engine import connection_url

# "banyan m": two migrations of the same database wait for each other.
_MIGRATION_LOCK = 0x62616E79616E206D
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:key)")
_ASK_AGAIN_SECONDS = 0.2
_PARTITION = re.compile(r"_(rest|\d{4}_\d{2})$")
_CONNECTION = "connection"


def migrate(
    url: str, script_location: Path, password: str | None = None, then: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Applies the migrations that the database lacks; each is applied whole or not at all.

    What no migration can do is done by `then`, in one process at a time too. Blocks, so an event loop calls it in a
    thread. Raises if a migration must wait more than 3 s for a table.
    """

    async def work(connection: AsyncConnection) -> None:
        await _upgrade(connection, script_location)
        if then is not None:
            await then()

    asyncio.run(_with_lock(connection_url(url, password), work))


def run_env(metadata: MetaData) -> None:
    """All that a service's `env.py` does: runs the migrations on the connection that `migrate` handed over."""
    from alembic import context  # noqa: PLC0415 - see `_upgrade`

    connection = cast("Connection", context.config.attributes[_CONNECTION])
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        include_name=_is_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:  # noqa: ANN401 - Alembic's signature
    """Leaves the partitions out when schema and tables are compared."""
    return kind != "table" or _PARTITION.search(name or "") is None


async def _with_lock(url: URL, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    """Holds the database's migration lock on one connection and migrates on another.

    Asks again and again instead of waiting in the database: a waiting statement holds a snapshot, and
    CREATE INDEX CONCURRENTLY of the one who works would wait for that snapshot for ever.
    """
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"server_settings": {"lock_timeout": "3s"}})
    try:
        async with engine.connect() as plain, engine.connect() as connection:
            guard = await plain.execution_options(isolation_level="AUTOCOMMIT")
            while not (await guard.execute(_TRY_LOCK, {"key": _MIGRATION_LOCK})).scalar_one():  # noqa: ASYNC110 - who unlocks is another process
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            await work(connection)
    finally:
        await engine.dispose()


async def _upgrade(connection: AsyncConnection, script_location: Path) -> None:
    # Here, since it is a fifth of what a serving process would import, which never migrates.
    from alembic import command  # noqa: PLC0415 - as said
    from alembic.config import Config  # noqa: PLC0415 - as said

    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")

    def upgrade(sync_connection: Connection) -> None:
        config.attributes[_CONNECTION] = sync_connection
        command.upgrade(config, "head")

    await connection.run_sync(upgrade)
