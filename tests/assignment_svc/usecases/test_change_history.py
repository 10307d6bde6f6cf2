"""Who changed what by hand is told to those who may know, and undone by those who may have done it."""

import grpc
import pytest
from banyan.assignment.v1 import ownership_change_pb2 as pb

from chassis.caller import Role

Kind = pb.ManualChange.Kind


@pytest.fixture
def head(by_hand):
    return by_hand.asker("head", Role.BRANCH_HEAD)


async def test_the_primary_side_is_told_every_change_and_a_secondary_one_those_of_its_own_row(by_hand, head) -> None:
    south = by_hand.asker("hs", Role.BRANCH_HEAD, branch="south")
    await by_hand.asker("m1").claim()
    await south.assign("s1")
    await head.assign("m2")
    told = (await head.changes()).manual_changes
    assert [(one.kind, one.actor, one.branch, one.from_manager, one.to_manager, one.reason) for one in told] == [
        (Kind.KIND_ASSIGN, "head", "branches/north", "staff/m1", "staff/m2", "better"),
        (Kind.KIND_ASSIGN, "hs", "branches/south", "", "staff/s1", "better"),
        (Kind.KIND_CLAIM, "m1", "branches/north", "", "staff/m1", "mine"),
    ]
    assert [one.actor for one in (await south.changes()).manual_changes] == ["hs"]
    assert list((await by_hand.asker("m1").changes()).manual_changes) == [], "existence only"
    assert await head.ask("GetManualChange", name=told[0].name) == told[0]
    assert await by_hand.reason(south.ask("GetManualChange", name=told[0].name)) == "NOT_FOUND"
    elsewhere = by_hand.asker("he", Role.BRANCH_HEAD, branch="east")
    assert await by_hand.reason(elsewhere.changes()) == "NOT_FOUND"
    seen, token = [], ""
    while True:
        page = await head.changes(page_size=1, page_token=token)
        seen += page.manual_changes
        token = page.next_page_token
        if not token:
            break
    assert seen == list(told)


async def test_where_the_primary_branch_was_is_not_for_the_secondary_side(by_hand, head) -> None:
    await by_hand.run(
        "INSERT INTO ownership_change (customer_id, change_id, kind, branch_id, from_branch_id, to_branch_id, reason,"
        " actor, before) VALUES ('c0', 't1', 'TRANSFER', 'south', 'south', 'north', 'r', 'x', '{}')"
    )
    south = by_hand.asker("hs", Role.BRANCH_HEAD, branch="south")
    for asker, seen in ((head, "branches/south"), (south, "")):
        [told] = (await asker.changes()).manual_changes
        assert told.from_branch == seen


async def test_a_claim_is_undone_with_its_protection_and_stands_in_the_history(by_hand, head) -> None:
    m1 = by_hand.asker("m1")
    claimed = (await m1.claim()).manual_change
    undone = await m1.undo(claimed)
    assert (await head.row()).manager == ""
    assert await by_hand.run("SELECT 1 FROM ownership_hold") == []
    first, second = (await head.changes()).manual_changes
    assert (first.kind, first.name, second.undone_by) == (Kind.KIND_UNDO, undone.manual_change, undone.manual_change)
    assert await by_hand.refusal(head.undo(claimed)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOT_UNDOABLE",
        {"cause": "UNDONE"},
    )
    await m1.claim()


async def test_undoing_a_naming_gives_the_one_before_back_with_his_protection_and_override(by_hand, head) -> None:
    await by_hand.asker("m1").claim("c7")
    kept = "SELECT loan_id, manager_id FROM officer_override", "SELECT hold_id, until_date FROM ownership_hold"
    before = [await by_hand.run(statement) for statement in kept]
    named = await head.assign("m2", "c7")
    assert [await by_hand.run(statement) for statement in kept] != before
    await head.undo(named.manual_change)
    assert [await by_hand.run(statement) for statement in kept] == before
    assert (await head.row("c7")).manager == "staff/m1"
    assert (await by_hand.night()).counts.changed_rows == 0


async def test_a_release_is_undone_by_the_manager_or_his_head_only_while_there_is_room(by_hand, head) -> None:
    m1 = by_hand.asker("m1")
    await m1.claim()
    released = (await m1.release()).manual_change
    await by_hand.run("INSERT INTO capacity_policy (version, customers_max, actor) VALUES (2, 1, 't')")
    await m1.claim("c1")
    assert await by_hand.reason(m1.undo(released)) == "CAPACITY"
    await m1.release("c1")
    assert await by_hand.reason(by_hand.asker("m2").undo(released)) == "NOT_FOUND"
    await m1.undo(released)
    assert (await head.row()).manager == "staff/m1"


async def test_who_stood_in_for_an_officer_gets_the_borrower_back_only_while_there_is_room(by_hand, head) -> None:
    await by_hand.run("INSERT INTO officer_override VALUES ('c8', 'l1', 'm2', 'm1')")
    await by_hand.night()
    assert (await head.row("c8")).manager == "staff/m1"
    named = (await head.assign("m2", "c8")).manual_change
    await by_hand.run("INSERT INTO capacity_policy (version, customers_max, actor) VALUES (2, 1, 't')")
    await by_hand.asker("m1").claim("c1")
    assert await by_hand.reason(head.undo(named)) == "CAPACITY"
    await by_hand.asker("m1").release("c1")
    await head.undo(named)
    assert (await head.row("c8")).manager == "staff/m1"


async def test_what_somebody_acted_on_or_is_too_old_or_was_approved_is_not_undone(by_hand, head) -> None:
    claimed = (await by_hand.asker("m1").claim()).manual_change
    named = (await head.assign("m2")).manual_change
    assert (await by_hand.refusal(head.undo(claimed)))[2] == {"cause": "ACTED_ON"}
    await by_hand.run("UPDATE ownership_change SET create_time = create_time - interval '25 hours'")
    assert (await by_hand.refusal(head.undo(named)))[2] == {"cause": "AGE"}
    await by_hand.run("UPDATE ownership_change SET kind = 'TRANSFER'")
    assert (await by_hand.refusal(head.undo(named)))[2] == {"cause": "KIND"}


async def test_a_night_that_changed_the_customer_keeps_an_older_change_from_being_undone(by_hand, head) -> None:
    named = (await head.assign("m1")).manual_change
    await by_hand.run("UPDATE branch_facts SET customer_state = 'FROZEN', rev = pg_current_xact_id()")
    await by_hand.night()
    assert await by_hand.reason(head.undo(named)) in {"NOT_UNDOABLE", "OWNERSHIP_UNCHANGEABLE"}


async def test_only_who_may_have_made_a_change_undoes_it(by_hand, head) -> None:
    named = (await head.assign("m1")).manual_change
    assert await by_hand.reason(by_hand.asker("m1").undo(named)) == "NOT_HEAD"
    assert await by_hand.reason(by_hand.asker("m2").undo(named)) == "NOT_FOUND"
    assert await by_hand.reason(by_hand.asker("hs", Role.BRANCH_HEAD, branch="south").undo(named)) == "NOT_FOUND"
    await head.undo(named)
