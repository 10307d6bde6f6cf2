"""Trials of other parameters, stopped, broken off or forgotten; and nights under the policy of their date."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from chassis.errors import Refused
from chassis.sql.engine import Database
from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.store import allocation, policies
from services.assignment_svc.store import policy_trials as store
from services.assignment_svc.usecases import policy_trials as module
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.policies import Proposal, approve, propose
from services.assignment_svc.usecases.policy_trials import Asked, forget_expired, try_policy

DAY = date(2024, 3, 1)
NEXT = DAY + timedelta(days=1)
DEFAULT = Policy(1, 90, 90, 120, 12, 30, 15)
ASKED = Asked("t1", replace(DEFAULT, run_off_days=10), "a1")
TABLES = ("policy_trial", "policy_trial_row", "policy_trial_branch", "policy_trial_manager")


async def goes_on(_day: date, _done: int, _total: int) -> bool:
    return True


async def night_goes_on(_done: int, _total: int) -> bool:
    return True


@pytest.fixture(autouse=True)
async def bank(database: Database, monkeypatch: pytest.MonkeyPatch):
    """c1 to c9 have deposits at north; their branch south has run off for 20 days."""
    monkeypatch.setattr(module, "_BATCH_CUSTOMERS", 2)
    facts = (
        "INSERT INTO branch_facts (customer_id, branch_id, loan_live, card_live, deposit_live, deposit_sum_minor,"
        " last_live_date, relation_since_date, customer_state)"
        " SELECT 'c' || n, branch, false, false, branch = 'north', 5,"
        " CASE branch WHEN 'south' THEN CAST(:ended AS date) END, '2020-01-01', 'ACTIVE'"
        " FROM generate_series(1, 9) AS n, (VALUES ('north'), ('south')) AS b (branch)"
    )
    async with database.begin() as tx:
        await tx.execute(
            text(f"TRUNCATE branch_facts, ownership, owner, owner_period, staff_duty, {', '.join(TABLES)}")
        )
        await tx.execute(text(facts), {"ended": DAY - timedelta(days=20)})
        await tx.execute(text("UPDATE allocation_day SET business_date = NULL, changes_date = NULL, seen_rev = '0'"))
        await allocation.set_facts_date(tx, DAY)
    await allocate_ownerships(database, DAY, night_goes_on)
    yield
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM ownership_policy WHERE version > 1"))


async def kept(database: Database) -> list[int]:
    async with database.read() as conn:
        return [(await conn.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() for table in TABLES]


async def test_shorter_run_off_would_end_the_rows_of_branches_without_business(database: Database) -> None:
    counted = await try_policy(database, ASKED, goes_on)
    assert counted is not None
    [south] = counted.branches
    assert (south.branch_id, south.row_lost, south.changed_rows, south.manager_changed) == ("south", 9, 9, 0)
    [virtual] = counted.managers
    assert (virtual.branch_id, virtual.manager_id, virtual.gained, virtual.lost) == ("south", None, 0, 9)
    assert (counted.trial.customer_count, counted.trial.changed_customer_count) == (9, 9)
    assert await kept(database) == [1, 9, 1, 1]


async def test_a_secondary_side_is_not_even_paged_through_rows_of_other_branches(database: Database) -> None:
    await try_policy(database, ASKED, goes_on)
    made = (
        "INSERT INTO policy_trial_row SELECT (jsonb_populate_record(NULL::policy_trial_row,"
        " to_jsonb(r) || '{\"branch_id\": \"west\"}')).* FROM policy_trial_row r WHERE customer_id = 'c1'"
    )
    async with database.begin() as tx:
        await tx.execute(text(made))

    async def branches_of_c1(branch_id: str) -> list[str]:
        async with database.read() as conn:
            found = await store.rows(conn, "t1", [branch_id], ("", ""), 100)
        return [row.branch_id for row in found if row.customer_id == "c1"]

    assert [await branches_of_c1(branch_id) for branch_id in ("north", "south", "west")] == [
        ["south", "west"],
        ["south"],
        [],
    ]


async def test_a_stopped_trial_leaves_nothing(database: Database) -> None:
    async def stops(_day: date, done: int, _total: int) -> bool:
        return done < 4

    assert await try_policy(database, ASKED, stops) is None
    assert await kept(database) == [0, 0, 0, 0]


async def test_a_trial_whose_facts_are_replaced_fails_and_leaves_nothing(database: Database) -> None:
    async def replaces(_day: date, done: int, _total: int) -> bool:
        if done == 4:
            async with database.begin() as tx:
                await allocation.set_facts_date(tx, NEXT)
        return True

    with pytest.raises(Refused) as caught:
        await try_policy(database, ASKED, replaces)
    assert caught.value.reason == "NIGHT_PENDING"
    assert await kept(database) == [0, 0, 0, 0]


async def test_a_trial_that_died_half_way_begins_anew(database: Database) -> None:
    async with database.begin() as tx:
        stale = (
            "INSERT INTO policy_trial_row (customer_id, trial_id, branch_id, change) VALUES ('c1', 't1', 'x', 'MADE')"
        )
        await tx.execute(text(stale))
    assert await try_policy(database, ASKED, goes_on) is not None
    assert await kept(database) == [1, 9, 1, 1]


async def test_a_trial_is_forgotten_after_its_days(database: Database) -> None:
    await try_policy(database, ASKED, goes_on)
    await forget_expired(database)
    assert (await kept(database))[0] == 1
    async with database.begin() as tx:
        await tx.execute(text("UPDATE policy_trial SET expire_time = bank_now()"))
    await forget_expired(database)
    assert await kept(database) == [0, 0, 0, 0]


async def test_a_night_that_is_caught_up_decides_by_the_policy_of_its_date(database: Database) -> None:
    later = DAY + timedelta(days=2)
    async with database.begin() as tx:
        version = await propose(tx, Proposal(ASKED.parameters, later, "less"), "a1")
        await approve(tx, version.policy.version, "a2")
        assert (await policies.in_force(tx, NEXT)).version == 1
    rows, versions = [], []
    for night in (NEXT, later, later):
        async with database.begin() as tx:
            await allocation.set_facts_date(tx, night)
        report = await allocate_ownerships(database, night, night_goes_on)
        rows.append((report.counts.customers, report.counts.changed_rows))
        async with database.read() as conn:
            versions.append((await allocation.progress(conn)).policy_version)
    # The first night under another policy looks at everybody; the same night again at nobody.
    assert rows == [(0, 0), (9, 9), (0, 0)]
    assert versions == [1, version.policy.version, version.policy.version]
