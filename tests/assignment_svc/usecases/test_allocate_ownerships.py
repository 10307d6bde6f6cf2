"""Runs of a night: whom they look at, and what is left when they are broken off."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from chassis.errors import Kind, Refused
from chassis.sql.engine import Database
from services.assignment_svc.store import allocation
from services.assignment_svc.usecases import allocate_ownerships as module
from services.assignment_svc.usecases.allocate_ownerships import Report, allocate_ownerships

NIGHT = date(2024, 3, 1)
NEXT = NIGHT + timedelta(days=1)


@pytest.fixture(autouse=True)
async def bank(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine customers in batches of two; c1 has a loan with an officer, c2 a branch that ran off."""
    monkeypatch.setattr(module, "BATCH_CUSTOMERS", 2)
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE branch_facts, ownership, owner, owner_period, staff, staff_duty"))
        await tx.execute(
            text(
                "INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live,"
                " deposit_sum_minor, relation_since_date, customer_state)"
                " SELECT 'c' || n, 'north', false, false, true, 5, '2020-01-01', 'ACTIVE' FROM generate_series(1, 9) n"
            )
        )
        await tx.execute(
            text(
                "UPDATE branch_facts SET loan_live = true, loan_id = 'l1', loan_first_disburse_date = '2020-01-01',"
                " loan_officer_id = 'officer' WHERE customer_id = 'c1'"
            )
        )
        await tx.execute(
            text(
                "INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live,"
                " relation_since_date, last_live_date, customer_state)"
                " VALUES ('c2', 'south', false, false, false, '2020-01-01', :ended, 'ACTIVE')"
            ),
            {"ended": NIGHT - timedelta(days=90)},
        )
        await tx.execute(
            text(
                "INSERT INTO staff (staff_id, display_name, branch_id, roles, active_until_date)"
                " VALUES ('officer', 'O', 'north', '{MANAGER}', :last)"
            ),
            {"last": NIGHT},
        )
        await tx.execute(
            text(
                "UPDATE allocation_day SET facts_date = :day, business_date = NULL, policy_version = 0, seen_rev = '0'"
            ),
            {"day": NIGHT},
        )


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def run(database: Database, night: date = NIGHT) -> Report:
    async with database.begin() as tx:
        await allocation.set_facts_date(tx, night)
    return await allocate_ownerships(database, night, goes_on)


async def rows(database: Database) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        asked = "SELECT customer_id, branch_id, side, rule, manager_id, from_date FROM owner ORDER BY 1, 2"
        return [tuple(row) for row in await conn.execute(text(asked))]


async def last_night(database: Database) -> date | None:
    async with database.read() as conn:
        return (await allocation.progress(conn)).business_date


async def test_a_run_that_broke_off_is_completed_by_the_next(database: Database) -> None:
    async def breaks(done: int, _total: int) -> bool:
        if done >= 4:
            raise RuntimeError("the process died")
        return True

    with pytest.raises(RuntimeError, match="died"):
        await allocate_ownerships(database, NIGHT, breaks)
    assert await last_night(database) is None
    begun = await rows(database)
    assert 4 <= len(begun) < 10
    report = await run(database)
    assert report.counts.customers == 9
    assert report.counts.changed_rows == 10 - len(begun)
    whole = await rows(database)
    assert set(begun) <= set(whole)
    assert await last_night(database) == NIGHT


async def test_a_night_whose_session_ended_under_it_does_not_count_and_is_completed_by_the_next(
    database: Database,
) -> None:
    """What a crash of the server does: sessions end, and the list of whom to look at, which is not logged, is empty."""

    async def crashes(done: int, _total: int) -> bool:
        if done:
            async with database.begin() as tx:
                ended = await tx.execute(
                    text(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
                        " WHERE locktype = 'advisory' AND objid = :low"
                    ),
                    {"low": allocation.ALLOCATION_LOCK & 0xFFFFFFFF},
                )
                ended.all()
                await tx.execute(text("TRUNCATE allocation_candidate"))
        return True

    with pytest.raises(Refused) as caught:
        await allocate_ownerships(database, NIGHT, crashes)
    assert (caught.value.kind, caught.value.reason) == (Kind.UNAVAILABLE, "DATABASE_UNREACHABLE")
    assert await last_night(database) is None
    begun = await rows(database)
    assert len(begun) < 10
    assert (await run(database)).counts.changed_rows == 10 - len(begun)
    assert await last_night(database) == NIGHT


async def test_a_stopped_run_does_not_count_as_a_night(database: Database) -> None:
    async def stops(done: int, _total: int) -> bool:
        return done == 0

    report = await allocate_ownerships(database, NIGHT, stops)
    assert 0 < report.counts.customers < 9
    assert await last_night(database) is None


async def test_a_night_looks_only_at_those_who_may_have_changed(database: Database) -> None:
    assert (await run(database)).counts.customers == 9
    assert (await run(database)).counts == allocation.Counts()
    # The officer left yesterday, and the branch of c2 has been without business for 91 days.
    assert (await run(database, NEXT)).counts == allocation.Counts(2, 2, 2)
    assert [row[:5] for row in await rows(database)][:2] == [
        ("c1", "north", "PRIMARY", "LOAN", None),
        ("c2", "north", "PRIMARY", "DEPOSIT", None),
    ]
    async with database.begin() as tx:
        await tx.execute(
            text(
                "INSERT INTO ownership_hold (customer_id, hold_id, kind, branch_id, from_date, until_date, reason)"
                " VALUES ('c3', 'h1', 'LOCK', 'south', :day, :until, 'agreed')"
            ),
            {"day": NEXT, "until": NEXT + timedelta(days=3)},
        )
    assert (await run(database, NEXT)).counts == allocation.Counts(1, 1, 2)
    later = await run(database, NEXT + timedelta(days=3))
    assert later.counts == allocation.Counts(1, 1, 2)
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM ownership_hold"))


async def test_a_new_policy_is_applied_to_everybody(database: Database) -> None:
    await run(database)
    async with database.begin() as tx:
        await tx.execute(
            text(
                "INSERT INTO ownership_policy SELECT 2, grace_days, 89, challenge_percent, return_months,"
                " protection_idle_days, lead_days, 'test' FROM ownership_policy WHERE version = 1"
            )
        )
    try:
        assert (await run(database)).counts == allocation.Counts(9, 1, 1)
    finally:
        async with database.begin() as tx:
            await tx.execute(text("DELETE FROM ownership_policy WHERE version = 2"))


async def test_facts_that_are_replaced_under_a_run_stop_it(database: Database) -> None:
    async def replaces(done: int, _total: int) -> bool:
        if done:
            async with database.begin() as tx:
                await allocation.set_facts_date(tx, None)
        return True

    with pytest.raises(Refused) as caught:
        await allocate_ownerships(database, NIGHT, replaces)
    assert caught.value.reason == "FACTS_MISSING"


async def test_two_runs_at_once_are_done_one_after_the_other(database: Database) -> None:
    first, second = await asyncio.gather(
        allocate_ownerships(database, NIGHT, goes_on), allocate_ownerships(database, NIGHT, goes_on)
    )
    assert sorted([first.counts.changed_rows, second.counts.changed_rows]) == [0, 10]


async def test_a_correction_on_the_same_day_leaves_an_empty_period(database: Database) -> None:
    await run(database)
    async with database.begin() as tx:
        await tx.execute(
            text("UPDATE branch_facts SET loan_officer_id = NULL, rev = pg_current_xact_id() WHERE customer_id = 'c1'")
        )
    assert (await run(database)).counts == allocation.Counts(1, 1, 1)
    async with database.read() as conn:
        past = (await conn.execute(text("SELECT manager_id, from_date, until_date FROM owner_period"))).all()
    assert [tuple(row) for row in past] == [("officer", NIGHT, NIGHT)]
