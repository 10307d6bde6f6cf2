"""The day by which people's changes are decided."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_DAY = text(
    "SELECT coalesce((SELECT business_date FROM business_day), (bank_now() AT TIME ZONE 'Asia/Shanghai')::date)"
)


async def business_day(tx: AsyncConnection) -> date:
    """The bank day whose state the data tell; before the first import, the calendar's."""
    return (await tx.execute(_DAY)).scalar_one()
