"""Imports of one table come one after the other, whatever the instance that takes them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import begun


async def try_lock_imports(tx: AsyncConnection, name: str) -> bool:
    """Keeps imports of a table waiting until the transaction ends; says False, and waits for nothing, if one runs."""
    lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))")
    return (await tx.execute(lock, _lock_key(name))).scalar_one()


def _lock_key(name: str) -> dict[str, str]:
    return {"key": f"import\n{name}"}


@asynccontextmanager
async def locked_imports(connection: AsyncConnection, name: str) -> AsyncGenerator[None]:
    """Lets one import of a table check and store at a time, on whatever instance."""
    key = _lock_key(name)
    async with begun(connection):
        await connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:key, 0))"), key)
    try:
        yield
    finally:
        # If the connection broke, the lock is gone with it.
        if not connection.invalidated:
            async with begun(connection):
                await connection.execute(text("SELECT pg_advisory_unlock(hashtextextended(:key, 0))"), key)
