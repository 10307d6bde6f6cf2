"""The day by which people's changes are decided."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# An expression over `allocation_day`. Facts and nights may be ahead of what else was imported, never behind what the
# next night decides by.
DAY = """coalesce(
  greatest(facts_date, business_date, (SELECT b.business_date FROM business_day b)),
  (bank_now() AT TIME ZONE 'Asia/Shanghai')::date)"""
_DAY = text(f"SELECT {DAY} FROM allocation_day")  # noqa: S608 -- our own words


async def business_day(tx: AsyncConnection) -> date:
    """The bank day whose state the data tell; before the first import, the calendar's."""
    return (await tx.execute(_DAY)).scalar_one()
