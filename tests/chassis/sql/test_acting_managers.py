from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import MetaData, text

from chassis.acting import Acting, CoveredRole
from chassis.sql.acting_managers import ACTING_TABLES, acting_managers_table, covered_today, drop_acting, put_acting

TABLE = acting_managers_table(MetaData())


@pytest.fixture
async def today(database) -> date:
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS acting_managers"))
        for statement in ACTING_TABLES:
            await tx.execute(text(statement))
        return (await tx.execute(text("SELECT (bank_now() AT TIME ZONE 'Asia/Shanghai')::date"))).scalar_one()


async def below(_conn, branch_id: str) -> frozenset[str]:
    return frozenset({branch_id, f"{branch_id}.1"})


def on_leave(today: date, first: int, last: int, number: int = 1) -> Acting:
    first_day, last_day = today + timedelta(days=first), today + timedelta(days=last)
    return Acting(f"a{number}", "s1", f"c{number}", "MANAGER", "b1", first_day, last_day)


@pytest.mark.parametrize(
    ("first", "last", "covers"), [(0, 0, True), (-5, 0, True), (0, 5, True), (1, 5, False), (-5, -1, False)]
)
async def test_a_role_is_covered_on_its_days_alone(database, today: date, first: int, last: int, covers) -> None:
    async with database.begin() as tx:
        await put_acting(tx, TABLE, [on_leave(today, first, last)], 1)
        assert await covered_today(tx, "s1", below) == (
            [CoveredRole("c1", "MANAGER", "b1", frozenset())] if covers else []
        )
        assert await covered_today(tx, "c1", below) == []


async def test_what_is_over_is_forgotten(database, today: date) -> None:
    one, other = on_leave(today, 0, 5), on_leave(today, 0, 5, 2)
    async with database.begin() as tx:
        await put_acting(tx, TABLE, [one, other], 1)
        await put_acting(tx, TABLE, [replace(one, gone=True)], 1)
        assert await covered_today(tx, "s1", below) == [CoveredRole("c2", "MANAGER", "b1", frozenset())]


async def test_a_new_start_of_the_feed_leaves_nothing_old(database, today: date) -> None:
    one, other = on_leave(today, 0, 5), on_leave(today, 0, 5, 2)
    async with database.begin() as tx:
        await put_acting(tx, TABLE, [one, other], 1)
        await put_acting(tx, TABLE, [other], 2)
        await drop_acting(tx, 2)
        assert await covered_today(tx, "s1", below) == [CoveredRole("c2", "MANAGER", "b1", frozenset())]


async def test_of_a_head_his_branches_are_covered(database, today: date) -> None:
    head = replace(on_leave(today, 0, 5), role="BRANCH_HEAD")
    async with database.begin() as tx:
        await put_acting(tx, TABLE, [head], 1)
        told = [CoveredRole("c1", "BRANCH_HEAD", "b1", frozenset({"b1", "b1.1"}))]
        assert await covered_today(tx, "s1", below) == told
