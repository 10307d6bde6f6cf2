"""Branches that are merged, closed and split: on the real database, with nights before and after."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chassis import clock
from chassis.caller import Caller, Role
from chassis.errors import Refused
from chassis.sql.engine import Database
from services.assignment_svc.domain.branch_changes import BranchChange, ChangeKind, ChangeState, MoveCounts, Planned
from services.assignment_svc.domain.requests import Kind
from services.assignment_svc.store import branch_changes as store
from services.assignment_svc.store import gate, org_changes, private_managers
from services.assignment_svc.store.allocation import ALLOCATION_LOCK
from services.assignment_svc.usecases import approvals, branch_changes, requests
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.approvals import Given
from services.assignment_svc.usecases.manual_changes import Who
from services.assignment_svc.usecases.request_plans import Wish

NIGHT = date(2026, 6, 30)
EMPTY = """
TRUNCATE branch, staff, staff_duty, branch_facts, ownership, owner, owner_period, ownership_hold, officer_override,
  row_protection, ownership_change, ownership_request, request_approval, branch_change, branch_alias,
  customer_branch_alias
"""
# c1 is old's alone; c2 both have, old more; c3 both have, new more; c4 has a loan at old; c5 is far's alone.
BANK = """
INSERT INTO branch (branch_id, display_name, parent_id) VALUES ('top', 'T', NULL), ('old', 'O', 'top'),
  ('new', 'N', 'top'), ('kiosk', 'K', 'old'), ('far', 'F', 'top');

INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES ('anna', 'A', 'old', '{MANAGER}'),
  ('ben', 'B', 'old', '{MANAGER}'), ('cora', 'C', 'new', '{MANAGER}');

INSERT INTO branch_facts (customer_id, branch_id, loan_live, loan_id, loan_outstanding_minor,
  loan_first_disburse_date, loan_officer_id, card_live, deposit_live, deposit_sum_minor, relation_since_date,
  customer_state) VALUES
  ('c1', 'old', false, NULL, NULL, NULL, NULL, false, true, 100, '2020-01-01', 'ACTIVE'),
  ('c2', 'old', false, NULL, NULL, NULL, NULL, false, true, 900, '2020-01-01', 'ACTIVE'),
  ('c2', 'new', false, NULL, NULL, NULL, NULL, false, true, 100, '2021-01-01', 'ACTIVE'),
  ('c3', 'old', false, NULL, NULL, NULL, NULL, false, true, 100, '2020-01-01', 'ACTIVE'),
  ('c3', 'new', false, NULL, NULL, NULL, NULL, false, true, 900, '2021-01-01', 'ACTIVE'),
  ('c4', 'old', true, 'l1', 5000, '2020-01-01', 'ben', false, false, NULL, '2020-01-01', 'ACTIVE'),
  ('c5', 'far', false, NULL, NULL, NULL, NULL, false, true, 100, '2020-01-01', 'ACTIVE')
"""
NAMED = "UPDATE owner SET named_manager_id = 'anna' WHERE branch_id = 'old' AND customer_id IN ('c1', 'c2')"


@pytest.fixture
async def bank(database: Database):
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))
        for statement in BANK.split(";\n\n"):
            await tx.execute(text(statement))
        await tx.execute(text("UPDATE allocation_day SET business_date = NULL, policy_version = 0, seen_rev = '0'"))
        await tx.execute(text("UPDATE allocation_day SET facts_date = :day, changes_date = NULL"), {"day": NIGHT})
    await allocate_ownerships(database, NIGHT, goes_on)
    async with database.begin() as tx:
        await tx.execute(text(NAMED))
    await allocate_ownerships(database, NIGHT, goes_on, everybody=True)
    yield database
    async with database.begin() as tx:
        await tx.execute(text(EMPTY))
        await tx.execute(text("UPDATE allocation_day SET facts_date = NULL, business_date = NULL, seen_rev = '0'"))


async def goes_on(_done: int, _total: int) -> bool:
    return True


async def stops(_done: int, _total: int) -> bool:
    return False


async def planned(bank: Database, kind: ChangeKind, managers: Sequence[str] = (), **given) -> BranchChange:
    async with bank.begin() as tx:
        today = await org_changes.today(tx)
        asked: dict[str, Any] = {"branch_id": "old", "target_id": "new", "effective_date": today, "reason": "a test"}
        return await branch_changes.plan(
            tx, Planned(kind=kind, manager_ids=tuple(managers), **{**asked, **given}), "planner"
        )


async def applied(bank: Database, kind: ChangeKind, managers: Sequence[str] = (), **given) -> MoveCounts:
    change = await planned(bank, kind, managers, **given)
    return await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on)


async def rows(bank: Database) -> set[tuple[str, str, str, str | None]]:
    async with bank.read() as conn:
        found = await conn.execute(text("SELECT customer_id, branch_id, side, manager_id FROM owner"))
        return {tuple(row) for row in found}


async def test_a_merger_moves_customers_and_staff_and_closes_the_branch(bank: Database) -> None:
    counts = await applied(bank, ChangeKind.MERGER)
    changed = counts.changed_rows
    assert counts == MoveCounts(customers=4, united=2, primary=3, unassigned=1, changed_rows=changed, staff=2)
    assert await rows(bank) == {
        ("c1", "new", "PRIMARY", "anna"),
        ("c2", "new", "PRIMARY", "anna"),
        ("c3", "new", "PRIMARY", None),
        ("c4", "new", "PRIMARY", "ben"),
        ("c5", "far", "PRIMARY", None),
    }
    async with bank.read() as conn:
        today = await org_changes.today(conn)
        closed = (await conn.execute(text("SELECT close_date FROM branch WHERE branch_id = 'old'"))).scalar_one()
        assert closed == today - timedelta(days=1)
        told = await conn.execute(
            text(
                "SELECT staff_id FROM staff WHERE branch_id = 'old' UNION SELECT branch_id"
                " FROM branch WHERE parent_id = 'old'"
            )
        )
        assert told.all() == []
        sums = await conn.execute(
            text("SELECT customer_id, deposit_sum_minor FROM branch_facts WHERE branch_id = 'new'")
        )
        assert dict(tuple(row) for row in sums) == {"c1": 100, "c2": 1000, "c3": 1000, "c4": None}


async def test_history_keeps_the_old_branch_and_says_who_did_it(bank: Database) -> None:
    await applied(bank, ChangeKind.MERGER)
    async with bank.read() as conn:
        periods = await conn.execute(
            text("SELECT branch_id, side FROM owner_period WHERE customer_id = 'c2' AND until_date = :day"),
            {"day": NIGHT},
        )
        assert {("old", "PRIMARY"), ("new", "SECONDARY")} <= {tuple(row) for row in periods}
        done = await conn.execute(
            text(
                "SELECT customer_id, kind, from_branch_id, to_branch_id, actor FROM ownership_change"
                " ORDER BY customer_id"
            )
        )
        assert [tuple(row) for row in done] == [
            (c, "BRANCH_CHANGE", "old", "new", "boss") for c in ("c1", "c2", "c3", "c4")
        ]


async def test_the_next_night_changes_nothing_and_neither_does_applying_it_again(bank: Database) -> None:
    change = await planned(bank, ChangeKind.MERGER)
    counts = await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on)
    before = await rows(bank)
    again = await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on)
    assert again == counts
    report = await allocate_ownerships(bank, NIGHT, goes_on, everybody=True)
    assert (report.counts.changed_rows, await rows(bank)) == (0, before)


async def test_a_dry_run_tells_the_same_and_moves_nothing(bank: Database) -> None:
    before = await rows(bank)
    change = await planned(bank, ChangeKind.MERGER)
    told = await branch_changes.try_change(bank, change.branch_change_id, "planner", goes_on)
    assert await rows(bank) == before
    async with bank.read() as conn:
        assert (await branch_changes.must_be(conn, change.branch_change_id)).state is ChangeState.PLANNED
        assert (await conn.execute(text("SELECT count(*) FROM branch_alias"))).scalar_one() == 0
    assert await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on) == told


async def test_what_broke_off_is_gone_on_with(bank: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_changes, "BATCH_CUSTOMERS", 1)
    change = await planned(bank, ChangeKind.MERGER)
    some = await branch_changes.apply_change(bank, change.branch_change_id, "boss", stops)
    assert some.customers == 1
    async with bank.read() as conn:
        assert (await branch_changes.must_be(conn, change.branch_change_id)).state is ChangeState.APPLYING
    whole = await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on)
    assert (whole.customers, whole.united, whole.primary, whole.staff) == (4, 2, 3, 2)
    assert not any(branch_id == "old" for _, branch_id, _, _ in await rows(bank))


async def test_a_split_moves_the_customers_of_its_managers_with_them(bank: Database) -> None:
    counts = await applied(bank, ChangeKind.SPLIT, ["anna"], target_id="far")
    assert (counts.customers, counts.staff, counts.unassigned) == (2, 1, 0)
    assert {row for row in await rows(bank) if row[0] in {"c1", "c2", "c4"}} == {
        ("c1", "far", "PRIMARY", "anna"),
        ("c2", "far", "PRIMARY", "anna"),
        ("c2", "new", "SECONDARY", None),
        ("c4", "old", "PRIMARY", "ben"),
    }
    async with bank.read() as conn:
        open_ = await conn.execute(text("SELECT close_date FROM branch WHERE branch_id = 'old'"))
        assert open_.scalar_one() is None


async def test_a_branch_does_not_close_over_its_staff(bank: Database) -> None:
    with pytest.raises(Refused) as caught:
        await applied(bank, ChangeKind.CLOSING)
    assert caught.value.reason == "BRANCH_NOT_EMPTY"
    async with bank.begin() as tx:
        await tx.execute(text("UPDATE staff SET branch_id = 'far' WHERE branch_id = 'old'"))
        (change,) = await store.page(tx, "old", None, 2)
    counts = await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on)
    assert (counts.customers, counts.staff) == (4, 0)
    assert {row for row in await rows(bank) if row[0] in {"c1", "c4"}} == {
        ("c1", "new", "PRIMARY", None),
        ("c4", "new", "PRIMARY", None),
    }


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        (ChangeKind.MERGER, {"target_id": "old"}, "FIELD_INVALID"),
        (ChangeKind.MERGER, {"effective_date": date(2020, 1, 1)}, "FIELD_INVALID"),
        (ChangeKind.MERGER, {"managers": ["anna"]}, "FIELD_INVALID"),
        (ChangeKind.MERGER, {"reason": ""}, "FIELD_INVALID"),
        (ChangeKind.SPLIT, {}, "FIELD_INVALID"),
        (ChangeKind.SPLIT, {"managers": ["anna", "anna"]}, "FIELD_INVALID"),
        (ChangeKind.SPLIT, {"managers": ["cora"]}, "MANAGER_ELSEWHERE"),
        (ChangeKind.MERGER, {"target_id": "nowhere"}, "BRANCH_CLOSED"),
        (ChangeKind.MERGER, {"target_id": "kiosk"}, "BRANCH_CYCLE"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused(bank: Database, kind: ChangeKind, given, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        await planned(bank, kind, **given)
    assert caught.value.reason == reason


async def test_a_branch_is_part_of_one_change_at_a_time_until_that_is_called_off(bank: Database) -> None:
    change = await planned(bank, ChangeKind.MERGER)
    with pytest.raises(Refused) as caught:
        await planned(bank, ChangeKind.MERGER, branch_id="new", target_id="far")
    assert caught.value.reason == "BRANCH_CHANGE_PENDING"
    async with bank.begin() as tx:
        assert (await branch_changes.cancel(tx, change.branch_change_id, "planner")).state is ChangeState.CANCELLED
    await planned(bank, ChangeKind.MERGER, branch_id="new", target_id="far")


async def test_who_planned_it_may_only_try_it_and_nobody_applies_it_early(bank: Database) -> None:
    async with bank.read() as conn:
        tomorrow = await org_changes.today(conn) + timedelta(days=1)
    later = await planned(bank, ChangeKind.MERGER, effective_date=tomorrow)
    today = await planned(bank, ChangeKind.MERGER, branch_id="far", target_id="top")
    async with bank.read() as conn:
        for change in (later, today):
            await branch_changes.check_apply(conn, change.branch_change_id, "planner", dry=True)
        for change, caller, reason in ((later, "boss", "CHANGE_EARLY"), (today, "planner", "OWN_BRANCH_CHANGE")):
            with pytest.raises(Refused) as caught:
                await branch_changes.check_apply(conn, change.branch_change_id, caller, dry=False)
            assert caught.value.reason == reason


async def test_two_who_apply_it_at_once_move_everybody_once(bank: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_changes, "BATCH_CUSTOMERS", 1)
    change = await planned(bank, ChangeKind.MERGER)

    async def apply() -> MoveCounts:
        return await branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on)

    for whole in await asyncio.gather(apply(), apply()):
        assert (whole.customers, whole.staff) == (4, 2)
    async with bank.read() as conn:
        primaries = await conn.execute(text("SELECT count(*) FROM owner WHERE side = 'PRIMARY' GROUP BY customer_id"))
        assert set(primaries.scalars()) == {1}


async def test_a_change_waits_for_a_night_that_comes_between(bank: Database) -> None:
    change = await planned(bank, ChangeKind.MERGER)
    async with bank.begin() as night:
        await night.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ALLOCATION_LOCK})
        applying = asyncio.create_task(branch_changes.apply_change(bank, change.branch_change_id, "boss", goes_on))
        await asyncio.sleep(0.3)
        assert not applying.done()
    assert (await applying).customers == 4


async def test_a_dry_run_and_who_names_a_manager_do_not_wait_in_a_circle(bank: Database) -> None:
    change = await planned(bank, ChangeKind.MERGER)
    async with bank.begin() as tx:
        await gate.pass_by_hand(tx)
        await gate.lock_customers(tx, ["c1"])
        trying = asyncio.create_task(branch_changes.try_change(bank, change.branch_change_id, "planner", goes_on))
        await asyncio.sleep(0.2)
        await private_managers.lock_staff(tx, "anna")
        assert not trying.done()
    assert (await trying).customers == 4


async def test_a_transfer_between_two_branches_that_became_one_ends_with_its_hold(bank: Database) -> None:
    async with bank.begin() as tx:
        heads = "INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES"
        await tx.execute(text(f"{heads} ('o', 'O', 'old', '{{BRANCH_HEAD}}'), ('n', 'N', 'new', '{{BRANCH_HEAD}}')"))
    now = clock.now()
    anna = Caller("anna", "old", frozenset({Role.MANAGER}), "s", "staff", now, "")
    wish = Wish(Kind.PUSH, "r", "c1", "new", None)
    made = await bank.repeat(lambda tx: requests.create(tx, anna, Who("anna", "old", "r", "m"), wish))
    await applied(bank, ChangeKind.MERGER)
    head = Caller("n", "new", frozenset({Role.BRANCH_HEAD}), "s", "staff", now, "")
    said = Given(made.request.request_id, "r", to_manager_id="cora")
    view = await bank.repeat(lambda tx: approvals.approve(tx, head, Who("n", "new", "r", "m"), said))
    assert view.state == "APPROVED"
    assert ("c1", "new", "PRIMARY", "cora") in await rows(bank)
    async with bank.read() as conn:
        assert (await conn.execute(text("SELECT hold_id FROM ownership_hold"))).all() == []
