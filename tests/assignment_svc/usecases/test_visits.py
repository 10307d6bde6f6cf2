"""Visits of one author and day, in whatever order they arrive; and what a merge makes of them."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from chassis.caller import Caller, Role
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from services.assignment_svc.domain.geography import Place
from services.assignment_svc.domain.visits import Content, Fix, Sent, VisitKind
from services.assignment_svc.store import visits
from services.assignment_svc.usecases.merge_ownership import merge_ownership, undo_merge_ownership
from services.assignment_svc.usecases.read_ownership import Reader
from services.assignment_svc.usecases.visits import create_visit

EMPTY = (
    "TRUNCATE ownership, owner, owner_period, branch_facts, visit, visit_version, visit_duty, customer_locations,"
    " merged_customers, merge_rows, merge_notice"
)
WORLD = """
WITH roots AS (
  INSERT INTO ownership (customer_id, state, business_date)
  SELECT 'c' || n, 'LIVE', '2026-06-30' FROM generate_series(0, 9) AS n
), homes AS (
  INSERT INTO customer_locations SELECT 'c' || n, 30 + n * 0.001, 120 FROM generate_series(0, 7) AS n
)
INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor)
SELECT 'c' || n, 'b', 'PRIMARY', 'DEPOSIT', 'mia', false, '2020-01-01', '2020-01-01', 'test'
FROM generate_series(0, 9) AS n
"""
CALLER = Caller("mia", "b", frozenset({Role.MANAGER}), "session", "banyan", datetime.max.replace(tzinfo=UTC), "")
READER = Reader(CALLER, "r1", "CreateVisit")


@pytest.fixture
async def tables(database: Database):
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text(WORLD))
    yield database
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))


def day_of(seed: int) -> list[tuple[str, Sent]]:
    """A day on which some visits are near to each other, some far, and some hours apart."""
    chance = random.Random(seed)
    noon = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0) - timedelta(days=1)

    def one(number: int) -> tuple[str, Sent]:
        place = Place(chance.choice([30, 30, 30.00005, 30.004, 31]), 120)
        kind = chance.choice([VisitKind.VISIT] * 4 + [VisitKind.PHONE])
        sent = Sent(
            content=Content(kind, f"visit {number}"),
            fix=Fix(place, chance.choice([5, 300])) if kind is VisitKind.VISIT else None,
            device_time=noon + timedelta(minutes=chance.randrange(0, 480)),
            captured_offline=True,
            device_id="d",
            client_visit_id=f"v{number}",
        )
        return f"c{chance.randrange(10)}", sent

    return [one(number) for number in range(14)]


async def send(database: Database, customer_id: str, sent: Sent) -> None:
    async with database.begin() as tx:
        await create_visit(tx, READER, customer_id, sent, sent.client_visit_id.encode())


async def states(database: Database) -> dict[str, str]:
    async with database.read() as conn:
        found = await conn.execute(text("SELECT content, state FROM visit"))
        return {row.content: row.state for row in found}


async def test_a_day_is_judged_alike_in_whatever_order_and_at_once_it_arrives(tables: Database, seed: int) -> None:
    day = day_of(seed)
    for customer_id, sent in day:
        await send(tables, customer_id, sent)
    in_order = await states(tables)
    assert len(in_order) == len(day)
    async with tables.begin() as tx:
        await tx.execute(text("TRUNCATE visit"))
    shuffled = random.Random(seed).sample(day, len(day))
    await asyncio.gather(*(send(tables, *one) for one in [*shuffled, *shuffled]))
    assert await states(tables) == in_order


async def test_a_merge_gives_the_survivor_the_visits_and_its_undo_gives_them_back(tables: Database) -> None:
    sent = day_of(1)[0][1]
    await send(tables, "c1", sent)
    await send(tables, "c0", replace(sent, client_visit_id="other"))
    async with tables.begin() as tx:
        (moved,) = (await tx.execute(text("SELECT visit_id FROM visit WHERE customer_id = 'c1'"))).scalars()
        old = await visits.get(tx, "c1", moved)
        assert old is not None
        await visits.correct(tx, old, Content(old.content.kind, "again"), "why")
    merging = Merging("m1", "c0", "c1")
    await merge_ownership(tables, merging, validate_only=False)
    async with tables.read() as conn:
        assert await visits.get(conn, "c1", moved) is None
        found = await visits.get(conn, "c0", moved)
        assert found is not None
        assert found.content.text == "again"
        assert len(await visits.versions(conn, "c0", moved, 9, 9)) == 1
        homes = text("SELECT customer_id FROM customer_locations WHERE customer_id IN ('c0', 'c1')")
        assert list((await conn.execute(homes)).scalars()) == ["c0"], "the survivor's own stays"
    async with tables.begin() as tx:
        await undo_merge_ownership(tx, merging)
    async with tables.read() as conn:
        assert await visits.get(conn, "c1", moved) is not None
        assert len(await visits.versions(conn, "c1", moved, 9, 9)) == 1
