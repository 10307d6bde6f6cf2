"""Heads name the managers of their own branch's rows; managers give customers back."""

import asyncio
import uuid

import grpc
import pytest
from banyan.assignment.v1 import ownership_pb2

from chassis.caller import Role


@pytest.fixture
def head(by_hand):
    return by_hand.asker("head", Role.BRANCH_HEAD)


async def test_each_head_names_the_manager_of_his_own_row_and_no_other(by_hand, head) -> None:
    south = by_hand.asker("hs", Role.BRANCH_HEAD, branch="south")
    assert (await head.assign("m1")).ownership.owners[0].manager == "staff/m1"
    told = await south.assign("s1")
    assert [(one.branch, one.manager) for one in told.ownership.owners] == [
        ("branches/north", ""),
        ("branches/south", "staff/s1"),
    ], "a secondary head sees his own row and which branch is primary"
    forbidden = (grpc.StatusCode.PERMISSION_DENIED, "NOT_HEAD", {"branch": "south"})
    assert await by_hand.refusal(head.assign("s1", branch="south")) == forbidden
    assert await by_hand.reason(south.assign("m1", branch="north", etag="x")) == "NOT_HEAD"
    assert await by_hand.reason(by_hand.asker("m1").assign(etag="x")) == "ROLE_FORBIDDEN"
    elsewhere = by_hand.asker("he", Role.BRANCH_HEAD, branch="east")
    assert await by_hand.refusal(elsewhere.assign(etag="x")) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {})


async def test_a_secondary_side_is_not_told_which_other_branches_have_a_row(by_hand) -> None:
    await by_hand.run(
        'INSERT INTO owner SELECT (jsonb_populate_record(NULL::owner, to_jsonb(o) || \'{"branch_id": "east"}\')).*'
        " FROM owner o WHERE customer_id = 'c0' AND branch_id = 'south'"
    )
    south = by_hand.asker("hs", Role.BRANCH_HEAD, branch="south")
    absent = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {})
    for method, given in (("AssignManager", {"manager": "staff/m1"}), ("ReleaseCustomer", {})):
        for branch in ("east", "nowhere"):
            asked = {"name": "customers/c0/ownership", "branch": f"branches/{branch}", "reason": "r", "etag": "x"}
            assert await by_hand.refusal(south.ask(method, **asked, **given)) == absent


async def test_a_head_above_stands_in_only_while_the_branch_has_no_head(by_hand) -> None:
    boss = by_hand.asker("boss", Role.BRANCH_HEAD, branch="office")
    assert await by_hand.reason(boss.assign("m1", branch="north")) == "NOT_HEAD"
    await by_hand.run("UPDATE staff SET active_until_date = '2026-06-29' WHERE staff_id = 'head'")
    assert (await boss.assign("m1", branch="north")).ownership.owners[0].manager == "staff/m1"


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (("m1", "c0", "0"), (grpc.StatusCode.ABORTED, "ETAG_OLD")),
        (("left", "c0", None), (grpc.StatusCode.FAILED_PRECONDITION, "MANAGER_UNFIT")),
        (("teller", "c0", None), (grpc.StatusCode.FAILED_PRECONDITION, "MANAGER_UNFIT")),
        (("s1", "c0", None), (grpc.StatusCode.FAILED_PRECONDITION, "MANAGER_UNFIT")),
        (("nobody", "c0", None), (grpc.StatusCode.FAILED_PRECONDITION, "MANAGER_UNFIT")),
        (("c5", "c5", None), (grpc.StatusCode.FAILED_PRECONDITION, "MANAGER_UNFIT")),
        (("m1", "c99", "0"), (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")),
        ((None, "c8", None), (grpc.StatusCode.FAILED_PRECONDITION, "RULE_DECIDES")),
    ],
)
async def test_who_may_not_be_named_is_refused(by_hand, head, asked, refusal) -> None:
    assert (await by_hand.refusal(head.assign(*asked)))[:2] == refusal
    assert await by_hand.run("SELECT 1 FROM ownership_change") == []


async def test_a_new_manager_takes_the_place_and_the_protection_of_the_one_before(by_hand, head) -> None:
    await by_hand.asker("m1").claim()
    told = await head.assign("m2")
    assert told.ownership.owners[0].manager == "staff/m2"
    held = await by_hand.run("SELECT hold_id FROM ownership_hold")
    assert held == [(f"named-{told.manual_change.split('/')[-1]}",)]
    again = await head.assign("m2")
    assert (again.manual_change, again.ownership.etag) == ("", told.ownership.etag), "nothing had to be changed"
    removed = await head.assign(None)
    assert removed.ownership.owners[0].manager == ""
    assert await by_hand.run("SELECT 1 FROM ownership_hold") == []
    assert (await head.assign(None)).manual_change == ""


async def test_whom_the_head_names_waits_behind_an_officer_who_is_there(by_hand, head) -> None:
    told = await head.assign("m1", "c8")
    assert told.ownership.owners[0].manager == "staff/m2"
    assert await by_hand.run("SELECT named_manager_id FROM owner WHERE customer_id = 'c8' AND side = 'PRIMARY'") == [
        ("m1",)
    ]
    assert await by_hand.run("SELECT 1 FROM ownership_hold UNION ALL SELECT 1 FROM officer_override") == []
    await by_hand.run("UPDATE branch_facts SET loan_live = false, rev = pg_current_xact_id() WHERE customer_id = 'c8'")
    await by_hand.night()
    assert (await head.row("c8")).manager == "staff/m1"


async def test_a_loan_whose_officer_left_goes_to_whom_the_head_names_and_then_to_the_next(head) -> None:
    for manager in ("m1", "m2"):
        row = (await head.assign(manager, "c7")).ownership.owners[0]
        assert (row.manager, row.rule) == (f"staff/{manager}", ownership_pb2.ALLOCATION_RULE_LOAN)
    assert (await head.assign(None, "c7")).ownership.owners[0].manager == ""


async def test_a_manager_or_his_head_gives_a_customer_back_and_nobody_else(by_hand, head) -> None:
    m1, m2 = by_hand.asker("m1"), by_hand.asker("m2")
    etag = (await m1.claim()).ownership.owners[0].etag
    assert await by_hand.refusal(m2.release(etag=etag)) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {})
    assert await by_hand.reason(m1.release(etag="0")) == "ETAG_OLD"
    await m1.release()
    assert (await head.row()).manager == ""
    assert await by_hand.reason(head.release()) == "NOT_MANAGED"
    await m1.claim()
    await head.release()
    assert await by_hand.reason(m2.release("c8")) == "RULE_DECIDES", "he is so by the loan"
    boss = by_hand.asker("boss", Role.BRANCH_HEAD, branch="office")
    await m1.claim()
    etag = (await boss.row(branch="north")).etag
    given = {"name": "customers/c0/ownership", "branch": "branches/north", "reason": "r", "etag": etag}
    assert await by_hand.refusal(boss.ask("ReleaseCustomer", **given)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_MANAGER",
        {"branch": "north"},
    )


async def test_two_heads_with_the_same_etag_change_a_row_once(by_hand, head) -> None:
    etag = (await head.row()).etag
    answers = await asyncio.gather(head.assign("m1", etag=etag), head.assign("m2", etag=etag), return_exceptions=True)
    [lost] = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert by_hand.told(lost)[:2] == (grpc.StatusCode.ABORTED, "ETAG_OLD")


async def test_a_reason_is_required_and_not_too_long(by_hand) -> None:
    for reason in ("", "  ", "x" * 401):
        name, request_id = "customers/c0/ownership", str(uuid.uuid4())
        call = by_hand.asker("m1").ask("ClaimCustomer", name=name, reason=reason, request_id=request_id)
        assert (await by_hand.refusal(call))[0] is grpc.StatusCode.INVALID_ARGUMENT
