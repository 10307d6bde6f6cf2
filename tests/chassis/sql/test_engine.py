import asyncio
import contextlib

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chassis.errors import Kind, Refused
from chassis.sql.engine import Database, _cancellation_kept, sqlstate


@pytest.fixture(autouse=True)
async def pair(database):
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS pair"))
        await tx.execute(text("CREATE TABLE pair (id integer PRIMARY KEY, value integer)"))
        await tx.execute(text("INSERT INTO pair VALUES (1, 0), (2, 0)"))


async def values(database):
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT value FROM pair ORDER BY id"))).scalars())


async def test_a_block_that_raises_leaves_nothing(database):
    async def write_and_fail():
        async with database.begin() as tx:
            await tx.execute(text("UPDATE pair SET value = 9"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    assert await values(database) == [0, 0]


async def test_a_block_that_ends_is_committed(database):
    async with database.begin() as tx:
        await tx.execute(text("UPDATE pair SET value = 9"))
    assert await values(database) == [9, 9]


async def test_a_read_opens_no_transaction(database):
    async with database.read() as connection:
        first, second = [
            (await connection.execute(text("SELECT pg_current_xact_id()::text"))).scalar_one() for _ in range(2)
        ]
    assert first != second


async def test_two_who_deadlock_both_succeed(database):
    met = asyncio.Barrier(2)
    attempts = []

    async def add_to_both(first, second):
        async def work(tx):
            attempts.append(first)
            await tx.execute(text("UPDATE pair SET value = value + 1 WHERE id = :id"), {"id": first})
            if len(attempts) <= 2:
                await met.wait()
            await tx.execute(text("UPDATE pair SET value = value + 1 WHERE id = :id"), {"id": second})

        await database.repeat(work)

    await asyncio.gather(add_to_both(1, 2), add_to_both(2, 1))
    assert await values(database) == [2, 2]
    assert len(attempts) == 3


async def test_only_what_may_succeed_is_repeated(database):
    attempts = 0

    async def work(tx):
        nonlocal attempts
        attempts += 1
        await tx.execute(text("INSERT INTO pair VALUES (1, 1)"))

    with pytest.raises(DBAPIError) as raised:
        await database.repeat(work)
    assert sqlstate(raised.value) == "23505"
    assert attempts == 1


async def test_a_database_that_is_gone_is_unavailable():
    database = Database("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Refused) as refused:
        async with database.begin():
            pass
    assert refused.value.kind is Kind.UNAVAILABLE
    await database.close()


async def test_bank_time_can_be_shifted_for_tests(database):
    async with database.alone() as connection, connection.begin():
        await connection.execute(text("SET LOCAL banyan.clock_offset = '3 days'"))
        shift = await connection.execute(text("SELECT bank_now() - statement_timestamp()"))
        assert shift.scalar_one().days == 3


async def test_a_cancelled_call_ends_cancelled_and_harms_nobody(database):
    async def hang():
        async with database.begin() as tx:
            await tx.execute(text("UPDATE pair SET value = 5"))
            await tx.execute(text("SELECT pg_sleep(30)"))

    running = [asyncio.create_task(hang()) for _ in range(30)]  # more than the pool holds
    await asyncio.sleep(0.2)
    for task in running:
        task.cancel()
    await asyncio.wait(running, timeout=5)
    assert all(task.cancelled() for task in running)
    assert await asyncio.gather(*(values(database) for _ in range(40))) == [[0, 0]] * 40


async def test_connections_that_the_server_closed_fail_no_later_call(database):
    await asyncio.gather(*(values(database) for _ in range(10)))
    async with database.alone() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await asyncio.sleep(0.2)
    assert await asyncio.gather(*(values(database) for _ in range(10))) == [[0, 0]] * 10


async def terminate(database, statement):
    """Makes the server close the connection that runs a statement, once it does."""
    async with database.alone() as connection:
        for _ in range(100):
            ended = await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE :statement"
                ),
                {"statement": statement},
            )
            if ended.all():
                return
            await connection.rollback()
            await asyncio.sleep(0.05)
    pytest.fail(f"nobody runs {statement}")


async def read_long(database):
    async with database.read() as connection:
        await connection.execute(text("SELECT pg_sleep(30)"))


async def write_long(database):
    async with database.begin() as tx:
        await tx.execute(text("UPDATE pair SET value = 9"))
        await tx.execute(text("SELECT pg_sleep(30)"))


async def write_long_repeatedly(database):
    async def work(tx):
        await tx.execute(text("UPDATE pair SET value = 9"))
        await tx.execute(text("SELECT pg_sleep(30)"))

    await database.repeat(work)


async def read_long_by_the_driver(database):
    async with database.alone() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute("SELECT pg_sleep(30)")


@pytest.mark.parametrize("work", [read_long, write_long, write_long_repeatedly, read_long_by_the_driver])
async def test_a_server_that_stops_during_a_statement_is_unavailable(database, work):
    running = asyncio.create_task(work(database))
    await terminate(database, "SELECT pg_sleep(30)")
    with pytest.raises(Refused) as refused:
        await running
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, "DATABASE_UNREACHABLE")
    assert await values(database) == [0, 0]


async def test_a_server_that_stops_during_the_commit_is_unavailable(database):
    async with database.begin() as tx:
        await tx.execute(
            text(
                "CREATE OR REPLACE FUNCTION sleep_long() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'"
            )
        )
        await tx.execute(
            text(
                "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON pair DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION sleep_long()"
            )
        )

    async def commit_long():
        async with database.begin() as tx:
            await tx.execute(text("UPDATE pair SET value = 9"))

    running = asyncio.create_task(commit_long())
    await terminate(database, "COMMIT%")
    with pytest.raises(Refused) as refused:
        await running
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, "DATABASE_UNREACHABLE")


async def test_a_statement_that_fails_by_itself_is_told_as_it_is(database):
    with pytest.raises(DBAPIError) as raised:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1 / 0"))
    assert sqlstate(raised.value) == "22012"


async def test_a_cancellation_that_a_library_swallowed_is_raised_after_all():
    async def swallow():
        with _cancellation_kept(), contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = asyncio.create_task(swallow())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
