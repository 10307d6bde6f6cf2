from datetime import date

from sqlalchemy import text

from chassis.sql.business_day import business_day, set_business_day


async def test_the_business_date_only_moves_forward(database):
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM business_day"))
        assert await business_day(tx) is None
        await set_business_day(tx, date(2026, 3, 2))
        await set_business_day(tx, date(2026, 3, 1))
        assert await business_day(tx) == date(2026, 3, 2)
        await set_business_day(tx, date(2026, 3, 3))
        assert await business_day(tx) == date(2026, 3, 3)
        await tx.execute(text("DELETE FROM business_day"))
