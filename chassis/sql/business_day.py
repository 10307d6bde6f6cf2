"""The bank day whose state the service's data tells: it only moves forward."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def business_day(tx: AsyncConnection) -> date | None:
    """The latest business date whose data was imported; None before the first import."""
    return (await tx.execute(text("SELECT business_date FROM business_day"))).scalar_one_or_none()


async def set_business_day(tx: AsyncConnection, day: date) -> None:
    """Moves the business date to `day`; an earlier day changes nothing."""
    await tx.execute(
        text(
            "INSERT INTO business_day AS t (business_date) VALUES (:day) ON CONFLICT (only_row)"
            " DO UPDATE SET business_date = excluded.business_date WHERE t.business_date < excluded.business_date"
        ),
        {"day": day},
    )
