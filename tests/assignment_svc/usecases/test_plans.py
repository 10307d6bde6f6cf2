"""Making what was planned, by several instances at once, in the order of days, with the history of the day planned."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.sql.engine import Database
from services.assignment_svc.domain.org_changes import Plan, PlanState, Subject
from services.assignment_svc.store import org_changes
from services.assignment_svc.store.org_changes import PlanDraft, Telling
from services.assignment_svc.usecases.plans import apply_next

TODAY = clock.bank_date(clock.now())


async def run(database: Database, statement: str) -> list[Any]:
    async def work(tx: AsyncConnection) -> list[Any]:
        found = await tx.execute(text(statement))
        return [tuple(row) for row in found] if found.returns_rows else []

    return await database.repeat(work)


async def plan(database: Database, subject: Subject, subject_id: str, day: date, **changes: object) -> Plan:
    draft = PlanDraft(subject, subject_id, changes, day)
    return await database.repeat(lambda tx: org_changes.add_plan(tx, draft, Telling("admin", "", "", "why")))


@pytest.fixture(autouse=True)
async def branches(database: Database) -> None:
    await run(database, "TRUNCATE branch, staff, session, branch_period, planned_org_change")
    await run(
        database,
        "INSERT INTO branch (branch_id, display_name, parent_id, open_date)"
        " VALUES ('a', 'A', NULL, '2020-01-01'), ('b', 'B', 'a', '2020-01-01'), ('c', 'C', 'a', '2020-01-01')",
    )


async def apply_all(database: Database) -> list[Plan]:
    made: list[Plan] = []
    while (one := await database.repeat(apply_next)) is not None:
        made.append(one)
    return made


async def test_several_instances_make_each_plan_once(database: Database) -> None:
    plans = [
        await plan(database, Subject.BRANCH, "b", TODAY - timedelta(days=9 - number), display_name=f"B{number}")
        for number in range(9)
    ]
    made = [one for some in await asyncio.gather(*(apply_all(database) for _ in range(4))) for one in some]
    assert sorted(one.plan_id for one in made) == sorted(one.plan_id for one in plans)
    assert {one.state for one in made} == {PlanState.APPLIED}
    assert await run(database, "SELECT display_name FROM branch WHERE branch_id = 'b'") == [("B8",)]
    periods = await run(
        database,
        "SELECT display_name, from_date, until_date FROM branch_period WHERE branch_id = 'b' ORDER BY period_id",
    )
    days = [date(2020, 1, 1), *(TODAY - timedelta(days=9 - number) for number in range(9)), None]
    names = ["B", *(f"B{number}" for number in range(9))]
    assert periods == list(zip(names, days, days[1:], strict=False))


async def test_two_plans_that_make_a_circle_together_are_not_both_made(database: Database) -> None:
    await plan(database, Subject.BRANCH, "b", TODAY, parent_id="c")
    await plan(database, Subject.BRANCH, "c", TODAY, parent_id="b")
    first, second = await apply_all(database)
    assert (first.state, second.state) == (PlanState.APPLIED, PlanState.FAILED)
    assert second.failure.startswith("BRANCH_CYCLE: ")


async def test_what_is_for_tomorrow_waits(database: Database) -> None:
    await plan(database, Subject.BRANCH, "b", TODAY + timedelta(days=1), display_name="later")
    assert await apply_all(database) == []


async def test_a_plan_for_what_is_not_there_has_failed(database: Database) -> None:
    await plan(database, Subject.STAFF, "nobody", TODAY, display_name="x")
    (only,) = await apply_all(database)
    assert (only.state, only.failure.partition(":")[0]) == (PlanState.FAILED, "NOT_FOUND")
