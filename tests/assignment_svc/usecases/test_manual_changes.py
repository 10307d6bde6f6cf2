"""Manual changes and nights keep one another out, and approved moves are carried out as allocation lets them."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from chassis.errors import Refused
from services.assignment_svc.domain.ownership import Rule, Side
from services.assignment_svc.store import gate
from services.assignment_svc.usecases import manual_changes
from services.assignment_svc.usecases.manual_changes import Changed, Move, Who

NIGHT = date(2026, 6, 30)
HEAD = Who("head", "north", "r", "test")


async def test_a_claim_waits_for_the_batch_of_a_night_and_the_batch_for_claims(by_hand) -> None:
    database = by_hand.service.parts.database
    async with database.begin() as night:
        await gate.pass_as_night(night)
        claiming = asyncio.create_task(by_hand.asker("m1").claim())
        await asyncio.sleep(0.2)
        assert not claiming.done()
        await night.execute(text("UPDATE owner SET manager_id = 'm2', named_manager_id = 'm2' WHERE side = 'PRIMARY'"))
    assert await by_hand.reason(claiming) == "ALREADY_MANAGED"
    await by_hand.run("UPDATE branch_facts SET rev = pg_current_xact_id()")
    async with database.begin() as tx:
        locked = await manual_changes.lock(tx, "c1")
        running = asyncio.create_task(by_hand.night(NIGHT))
        await asyncio.sleep(0.3)
        assert not running.done()
        assert locked.day == NIGHT
    await running


async def test_nothing_is_changed_by_hand_while_facts_are_being_replaced(by_hand) -> None:
    await by_hand.run("UPDATE allocation_day SET facts_date = NULL")
    assert await by_hand.reason(by_hand.asker("m1").claim()) == "DATABASE_BUSY"


async def test_claims_during_a_night_that_moves_everybody_stand_after_it(by_hand) -> None:
    await by_hand.run(
        "UPDATE branch_facts SET deposit_sum_minor = 9000000000, rev = pg_current_xact_id() WHERE branch_id = 'south'"
    )
    m1 = by_hand.asker("m1")
    calls = (m1.claim(f"c{n}") for n in range(7) if n != 5)
    night, *told = await asyncio.gather(by_hand.night(NIGHT + timedelta(days=1)), *calls)
    assert len(told) == 6
    rows = await by_hand.run("SELECT customer_id, side FROM owner WHERE branch_id = 'north' AND manager_id = 'm1'")
    assert len(rows) == 6
    assert (await by_hand.night(NIGHT + timedelta(days=1))).counts.changed_rows == 0
    assert night.counts.customers == 10


async def move(by_hand, customer_id: str, move: Move) -> Changed:
    async with by_hand.service.parts.database.begin() as tx:
        return await manual_changes.move_primary(tx, HEAD, await manual_changes.lock(tx, customer_id), move)


async def test_an_approved_move_makes_the_takers_branch_primary_and_protects_it(by_hand) -> None:
    await by_hand.asker("m1").claim()
    hold = "INSERT INTO ownership_hold (customer_id, hold_id, kind, branch_id, from_date, reason)"
    await by_hand.run(f"{hold} VALUES ('c0', 'pending', 'TRANSFER', 'north', '2026-06-30', 'r')")
    moved = await move(by_hand, "c0", Move("south", "s1", "he moved", hold_id="pending", request_id="q1"))
    first, second = moved.ownership.owners
    assert (first.branch_id, first.side, first.rule, first.manager_id) == ("south", Side.PRIMARY, Rule.HELD, "s1")
    assert (second.branch_id, second.manager_id) == ("north", "m1"), "the giver keeps his as secondary"
    assert await by_hand.run("SELECT kind, branch_id, until_date FROM ownership_hold") == [
        ("PROTECTION", "south", NIGHT + timedelta(days=90))
    ]
    assert await by_hand.run(
        "SELECT kind, from_branch_id, to_branch_id, request_id FROM ownership_change ORDER BY 1"
    ) == [
        ("CLAIM", None, None, None),
        ("TRANSFER", "north", "south", "q1"),
    ]
    assert (await by_hand.night()).counts.changed_rows == 0


async def test_a_move_to_a_branch_without_business_names_the_manager_of_the_row_it_makes(by_hand) -> None:
    await by_hand.run(
        "INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES ('e', 'E', 'east', '{MANAGER}')"
    )
    moved = await move(by_hand, "c1", Move("east", "e", "r"))
    first = moved.ownership.owners[0]
    assert (first.branch_id, first.manager_id, first.named_manager_id) == ("east", "e", "e")


async def test_within_a_branch_a_move_changes_the_manager_and_of_a_borrower_overrides_the_officer(by_hand) -> None:
    moved = await move(by_hand, "c8", Move("north", "m1", "r"))
    assert (moved.ownership.owners[0].manager_id, moved.ownership.owners[0].rule) == ("m1", Rule.LOAN)
    assert await by_hand.run("SELECT 1 FROM ownership_hold") == []


async def test_a_move_that_a_loan_elsewhere_would_undo_at_once_is_refused(by_hand) -> None:
    with pytest.raises(Refused) as caught:
        await move(by_hand, "c8", Move("south", "s1", "r"))
    assert caught.value.reason == "RULE_DECIDES"
