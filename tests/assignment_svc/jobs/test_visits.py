"""What becomes of visits with time: places are forgotten, and what was due in a month is kept."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import text

from chassis.sql.engine import Database
from services.assignment_svc.jobs import visits
from services.assignment_svc.jobs.visits import forget_places, keep_month, months_before

VISITS = """
INSERT INTO visit (customer_id, visit_id, staff_id, branch_id, kind, content, attachments, latitude, longitude,
  accuracy_m, distance_m, distance_band, device_time, visit_time, visit_date, captured_offline, late, state, sent_hash)
SELECT 'c', 'v' || n, 's', 'b', 'VISIT', 'x', '[]', 30, 120, 10, 5, 'NEAR', bank_now(), bank_now(),
  (bank_now() AT TIME ZONE 'Asia/Shanghai')::date - make_interval(months => n), false, false, 'VALID', 'h'
FROM generate_series(20, 30) AS n
"""
EMPTY = "TRUNCATE visit, visit_month, visit_duty, branch, ownership, owner, branch_facts"
OWED = """
WITH branches AS (INSERT INTO branch (branch_id, display_name) SELECT 'b' || n, 'B' FROM generate_series(1, 3) AS n),
roots AS (INSERT INTO ownership (customer_id, state, business_date)
  SELECT 'c' || n, 'LIVE', '2026-06-30' FROM generate_series(1, 3) AS n),
facts AS (INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_outstanding_minor, card_live, deposit_live,
    relation_since_date, customer_state)
  SELECT 'c' || n, 'b' || n, true, 30000000, false, false, '2020-01-01', 'ACTIVE' FROM generate_series(1, 3) AS n)
INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor)
SELECT 'c' || n, 'b' || n, 'PRIMARY', 'LOAN', 'm', false, '2020-01-01', '2020-01-01', 't' FROM generate_series(1, 3) n
"""


@pytest.fixture
async def tables(database: Database):
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))
    yield database
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 6, 30), 24, date(2024, 6, 30)),
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2028, 2, 29), 12, date(2027, 2, 28)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
    ],
)
def test_months_are_counted_back_to_the_same_day_or_the_last_of_its_month(day, months, expected) -> None:
    assert months_before(day, months) == expected


async def test_places_older_than_two_years_are_forgotten_and_states_and_bands_stay(
    tables: Database, monkeypatch
) -> None:
    monkeypatch.setattr(visits, "_BATCH", 2)
    async with tables.begin() as tx:
        await tx.execute(text(VISITS))
    await forget_places(tables)
    asked = "SELECT visit_id, latitude, longitude, accuracy_m, distance_m, sent_hash, distance_band, state FROM visit"
    async with tables.read() as conn:
        rows = {row.visit_id: tuple(row)[1:] for row in await conn.execute(text(asked))}
    kept = {name for name, row in rows.items() if row[0] is not None}
    assert kept == {f"v{n}" for n in range(20, 25)}, "at 24 months to the day it is still there"
    assert {row for name, row in rows.items() if name not in kept} == {(None,) * 5 + ("NEAR", "VALID")}


async def test_the_month_before_is_kept_once_however_many_do_it(tables: Database, monkeypatch) -> None:
    monkeypatch.setattr(visits, "_BRANCHES_AT_A_TIME", 2)
    async with tables.begin() as tx:
        await tx.execute(text(OWED))
    await asyncio.gather(*(keep_month(tables) for _ in range(4)))
    async with tables.begin() as tx:
        await tx.execute(text("UPDATE owner SET manager_id = 'other'"))
    await keep_month(tables)
    asked = """SELECT customer_id, branch_id, manager_id, due_count FROM visit_duty JOIN visit_month USING (month_date)
      WHERE month_date = date_trunc('month', bank_now() AT TIME ZONE 'Asia/Shanghai')::date - interval '1 month'
      ORDER BY 1"""
    async with tables.read() as conn:
        rows = [tuple(row) for row in await conn.execute(text(asked))]
    assert rows == [("c1", "b1", "m", 1), ("c2", "b2", "m", 1), ("c3", "b3", "m", 1)]
