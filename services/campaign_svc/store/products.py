"""Products, as the feed tells them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.campaign_svc.store.tables import products


@dataclass(frozen=True)
class Product:
    """Something the bank sells."""

    product_id: str
    display_name: str
    category: str
    update_time: datetime


async def get(tx: AsyncConnection, product_id: str) -> Product | None:
    rows = await tx.execute(select(products).where(products.c.product_id == product_id))
    row = rows.one_or_none()
    return None if row is None else Product(*row)


async def page(tx: AsyncConnection, category: str | None, after: str | None, limit: int) -> Sequence[Product]:
    """Products by id, beginning after the one given; None for any category and for the beginning."""
    query = select(products).order_by(products.c.product_id).limit(limit)
    if category is not None:
        query = query.where(products.c.category == category)
    if after is not None:
        query = query.where(products.c.product_id > after)
    return [Product(*row) for row in await tx.execute(query)]
