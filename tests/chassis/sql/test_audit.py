import asyncio

import pytest
from sqlalchemy import MetaData, select, text, values
from sqlalchemy import column as sql_column
from sqlalchemy import types as sql_types

from chassis.sql.audit import AuditEntry, audit, audit_read_cte, seal, verify
from chassis.sql.tables import chassis_tables

AUDIT = chassis_tables(MetaData()).audit
ENTRY = AuditEntry("staff1", "B1", "req1", "GetCustomer", "C1", {"purpose": "复核"})


@pytest.fixture(autouse=True)
async def no_rows(database):
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE audit, audit_seal"))


async def rows(database):
    async with database.read() as connection:
        result = await connection.execute(
            text("SELECT caller, branch_id, request_id, method, customer_id, detail FROM audit ORDER BY audit_id")
        )
        return [tuple(row) for row in result]


async def test_one_statement_reads_and_remembers(database):
    statement = select(text("1")).add_cte(audit_read_cte(AUDIT, ENTRY))
    async with database.read() as connection:
        assert (await connection.execute(statement)).scalar_one() == 1
    assert await rows(database) == [("staff1", "B1", "req1", "GetCustomer", "C1", {"purpose": "复核"})]


async def test_a_page_is_remembered_by_each_customer_on_it(database):
    shown = select(values(sql_column("customer_id", sql_types.Text), name="v").data([("C1",), ("C2",)])).cte("shown")
    statement = select(shown.c.customer_id).add_cte(audit_read_cte(AUDIT, ENTRY, shown))
    async with database.read() as connection:
        assert (await connection.execute(statement)).scalars().all() == ["C1", "C2"]
    assert [row[4] for row in await rows(database)] == ["C1", "C2"]


async def test_such_a_read_does_not_wait_for_the_disk_and_the_next_statement_does(database):
    statement = select(text("1")).add_cte(audit_read_cte(AUDIT, ENTRY))
    async with database.begin() as tx:
        await tx.execute(statement)
        assert (await tx.execute(text("SHOW synchronous_commit"))).scalar_one() == "off"
    async with database.read() as connection:
        await connection.execute(statement)
        assert (await connection.execute(text("SHOW synchronous_commit"))).scalar_one() == "on"


async def test_untouched_rows_verify(database):
    for n in range(3):
        async with database.begin() as tx:
            await audit(tx, [ENTRY] * (n + 1))
        assert await seal(database)
    assert not await seal(database)  # nothing new
    assert list((await verify(database)).broken) == []


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit SET customer_id = 'C9' WHERE audit_id = :second",
        "UPDATE audit SET detail = '{}' WHERE audit_id = :second",
        "UPDATE audit SET time = time + interval '1 us' WHERE audit_id = :second",
        "DELETE FROM audit WHERE audit_id = :second",
        """INSERT INTO audit (rev, caller, branch_id, request_id, method, customer_id)
        SELECT rev, 'x', '', '', '', '' FROM audit WHERE audit_id = :second""",
        "UPDATE audit_seal SET row_count = 2 WHERE seal_id = 2 AND :second > 0",
    ],
)
async def test_a_change_of_what_is_sealed_shows(database, tamper):
    for _ in range(3):
        async with database.begin() as tx:
            await audit(tx, [ENTRY])
        await seal(database)
    async with database.begin() as tx:
        second = (await tx.execute(text("SELECT audit_id FROM audit ORDER BY audit_id OFFSET 1 LIMIT 1"))).scalar_one()
        await tx.execute(text(tamper), {"second": second})
    assert list((await verify(database)).broken) == [2]


async def test_a_seal_that_is_taken_out_shows(database):
    for _ in range(3):
        async with database.begin() as tx:
            await audit(tx, [ENTRY])
        await seal(database)
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM audit WHERE rev < (SELECT until_rev FROM audit_seal WHERE seal_id = 1)"))
        await tx.execute(text("DELETE FROM audit_seal WHERE seal_id = 1"))
    assert list((await verify(database)).broken) == [2]


async def test_a_row_that_commits_late_is_sealed_later(database):
    async with database.begin() as slow:
        await audit(slow, [ENTRY])
        async with database.begin() as tx:
            await audit(tx, [ENTRY])
        assert not await seal(database)
    assert await seal(database)
    assert list((await verify(database)).broken) == []


async def test_instances_that_seal_together_make_one_chain(database):
    async with database.begin() as tx:
        await audit(tx, [ENTRY])
    sealed = await asyncio.gather(*(seal(database, young_seconds=50) for _ in range(8)))
    assert sum(sealed) == 1
    assert list((await verify(database)).broken) == []
