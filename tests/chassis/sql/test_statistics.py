import pytest
from sqlalchemy import text

from chassis.sql.statistics import refresh_statistics


@pytest.fixture
async def crowd(database):
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS crowd"))
        await tx.execute(text("CREATE TABLE crowd (n int) WITH (autovacuum_enabled = off)"))
        await tx.execute(text("INSERT INTO crowd SELECT generate_series(1, 2000)"))
    yield "crowd"
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE crowd"))


async def believed(database, table):
    async with database.read() as conn:
        query = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")
        return (await conn.execute(query, {"name": table})).scalar_one()


async def test_a_table_that_was_never_counted_is_analysed(database, crowd):
    async with database.alone() as conn:
        assert await refresh_statistics(conn, [crowd], 2000) == [crowd]
    assert await believed(database, crowd) == 2000


async def test_a_fifth_is_much_and_less_is_not(database, crowd):
    async with database.begin() as tx:
        await tx.execute(text("INSERT INTO crowd SELECT generate_series(1, 4000)"))
    async with database.alone() as conn:
        await refresh_statistics(conn, [crowd], 6000)
        assert await refresh_statistics(conn, [crowd], 1199) == []
        assert await refresh_statistics(conn, [crowd], 1200) == [crowd]


async def test_few_rows_are_never_much(database, crowd):
    async with database.alone() as conn:
        assert await refresh_statistics(conn, [crowd], 999) == []
    assert await believed(database, crowd) == -1


async def test_what_is_no_table_is_passed_over(database, crowd):
    async with database.alone() as conn:
        assert await refresh_statistics(conn, ["nothing_of_the_kind", crowd], 2000) == [crowd]


async def test_a_table_that_is_being_analysed_is_not_waited_for(database, crowd):
    async with database.begin() as tx, database.alone() as conn:
        await tx.execute(text(f"LOCK TABLE {crowd} IN SHARE UPDATE EXCLUSIVE MODE"))
        await refresh_statistics(conn, [crowd], 2000)
    assert await believed(database, crowd) == -1
