"""Customers who came with the number of an erased person, until campaign_svc knows of them."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_UNTOLD = text("SELECT customer_id FROM suppressed_customers WHERE told_time IS NULL ORDER BY customer_id LIMIT :limit")
_TOLD = text("UPDATE suppressed_customers SET told_time = bank_now() WHERE customer_id = :customer_id")


async def untold(conn: AsyncConnection, limit: int) -> Sequence[str]:
    """Some whom campaign_svc does not know of yet."""
    return (await conn.execute(_UNTOLD, {"limit": limit})).scalars().all()


async def told(tx: AsyncConnection, customer_id: str) -> None:
    """Notes that campaign_svc knows of one."""
    await tx.execute(_TOLD, {"customer_id": customer_id})
