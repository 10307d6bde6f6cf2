"""Requests over the wire: pushed, pulled, locked, reclaimed; nothing changes before everybody said yes."""

import uuid
from datetime import date

import grpc
import pytest
from banyan.assignment.v1 import ownership_request_pb2 as rp

R, A, T = rp.OwnershipRequest, rp.Approval, rp.RequestTransition
NORTH, SOUTH = [("PRIMARY", "north", "nm"), ("SECONDARY", "south", None)], ("PRIMARY", "south", "sm")


def states(request) -> list[tuple[str, str]]:
    return [(A.Side.Name(one.side)[5:], A.State.Name(one.state)[6:]) for one in request.approvals]


def events(request) -> list[str]:
    return [T.Event.Name(one.event)[6:] for one in request.transitions]


async def test_a_push_across_branches_waits_for_both_heads_and_leaves_the_customer_with_the_giver(bank) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south", to_manager="staff/sm")
    assert (made.state, states(made)) == (R.STATE_PENDING, [("GIVER", "WAITING"), ("TAKER", "WAITING")])
    assert [one.desk_branch for one in made.approvals] == ["branches/north", "branches/south"]
    assert await bank.holds() == [("TRANSFER", "north")]
    assert await bank.owners() == NORTH
    assert await bank.as_("nh").inbox() == await bank.as_("sh").inbox() == [made.name]
    first = await bank.as_("sh").approve(made.name)
    assert (first.state, events(first)) == (R.STATE_PENDING, ["CREATE", "APPROVE"])
    assert await bank.owners() == NORTH
    done = await bank.as_("nh").approve(made.name, reason="he moved")
    assert (done.state, events(done)) == (R.STATE_APPROVED, ["CREATE", "APPROVE", "CARRY_OUT"])
    assert [(one.actor, one.reason) for one in done.transitions][-1] == ("nh", "he moved")
    assert await bank.owners() == [SOUTH, ("SECONDARY", "north", "nm")]
    assert await bank.holds() == [("PROTECTION", "south")]
    assert await bank.as_("nh").inbox() == []
    [(kind, who, request)] = await bank.rows("SELECT kind, actor, request_id FROM ownership_change")
    assert (kind, who, f"ownershipRequests/{request}") == ("TRANSFER", "nh", made.name)


async def test_a_head_who_makes_a_request_has_said_his_sides_yes(bank, refusal_of) -> None:
    made = await bank.as_("nh").create("PUSH", to_branch="branches/south", to_manager="staff/sm")
    assert states(made) == [("GIVER", "APPROVED"), ("TAKER", "WAITING")]
    assert (await refusal_of(bank.as_("nh").approve(made.name)))[1] == "OWN_REQUEST"
    assert (await bank.as_("sh").approve(made.name)).state == R.STATE_APPROVED


async def test_within_a_branch_its_head_answers_alone(bank) -> None:
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    assert (states(made), await bank.holds()) == ([("GIVER", "WAITING")], [])
    done = await bank.as_("nh").approve(made.name)
    assert done.state == R.STATE_APPROVED
    assert (await bank.owners())[0] == ("PRIMARY", "north", "nm2")


async def test_what_a_head_asks_of_his_own_branch_is_carried_out_at_once(bank) -> None:
    made = await bank.as_("nh").create("PUSH", to_manager="staff/nm2")
    assert (made.state, events(made)) == (R.STATE_APPROVED, ["CREATE", "CARRY_OUT"])
    assert (await bank.owners())[0] == ("PRIMARY", "north", "nm2")


async def test_the_manager_of_a_secondary_row_passes_on_too(bank) -> None:
    await bank.name("c1", "south", "sm")
    made = await bank.as_("sm").create("PUSH", to_manager="staff/sm2")
    assert (await bank.as_("sh").approve(made.name)).state == R.STATE_APPROVED
    assert (await bank.owners())[1] == ("SECONDARY", "south", "sm2")


async def test_the_takers_side_chooses_the_manager(bank, refusal_of) -> None:
    made = await bank.as_("nh").create("PUSH", to_branch="branches/south")
    unfit = await refusal_of(bank.as_("sh").approve(made.name, to_manager="staff/nm"))
    assert unfit[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "MANAGER_UNFIT")
    assert (await bank.as_("sh").approve(made.name, to_manager="staff/sm2")).to_manager == "staff/sm2"
    assert (await bank.owners())[0] == ("PRIMARY", "south", "sm2")


async def test_a_no_ends_a_request_and_frees_the_customer(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    assert (await refusal_of(bank.as_("sh").refuse(made.name, " ")))[0] is grpc.StatusCode.INVALID_ARGUMENT
    done = await bank.as_("sh").refuse(made.name, "we are full")
    assert (done.state, states(done)) == (R.STATE_REFUSED, [("GIVER", "VOID"), ("TAKER", "REFUSED")])
    assert (await bank.holds(), await bank.owners()) == ([], NORTH)
    late = await refusal_of(bank.as_("nh").approve(made.name))
    assert late == (grpc.StatusCode.FAILED_PRECONDITION, "REQUEST_DECIDED", {"state": "REFUSED"})
    assert (await bank.as_("nm").create("PUSH", to_branch="branches/south")).state == R.STATE_PENDING


async def test_only_who_made_it_takes_it_back(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    assert (await refusal_of(bank.as_("nh").withdraw(made.name)))[1] == "NOT_APPROVER"
    done = await bank.as_("nm").withdraw(made.name)
    assert (done.state, await bank.holds()) == (R.STATE_WITHDRAWN, [])
    assert (await refusal_of(bank.as_("nm").withdraw(made.name)))[1] == "REQUEST_DECIDED"


async def test_a_second_request_for_the_customer_is_refused_and_says_since_when(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    end = date(2026, 12, 31)
    for call in (
        bank.as_("nm").create("PUSH", to_manager="staff/nm2"),
        bank.as_("nh").create("LOCK", end_date=end),
        bank.as_("nh").create("RECLAIM"),
    ):
        code, reason, told = await refusal_of(call)
        assert (code, reason) == (grpc.StatusCode.ABORTED, "REQUEST_PENDING")
        assert f"ownershipRequests/{told['request']}" == made.name
        assert told["create_time"]


async def test_an_officer_override_waits_for_the_head_and_holds_for_the_loan(bank, refusal_of) -> None:
    wrong = bank.as_("nm").create("OFFICER", "c3", to_manager="staff/nm2", loan="l-other")
    assert (await refusal_of(wrong))[1] == "LOAN_UNKNOWN"
    made = await bank.as_("nm").create("OFFICER", "c3", to_manager="staff/nm2", loan="l-c3")
    done = await bank.as_("nh").approve(made.name)
    assert (done.state, await bank.owners("c3")) == (R.STATE_APPROVED, [("PRIMARY", "north", "nm2")])
    query = "SELECT loan_id, source_officer_id, manager_id FROM officer_override"
    assert await bank.rows(query) == [("l-c3", "nm", "nm2")]


async def test_a_borrower_leads_where_his_loan_is_so_he_is_not_transferred_away(bank, refusal_of) -> None:
    made = await bank.as_("nh").create("PUSH", "c3", to_branch="branches/south", to_manager="staff/sm")
    code, reason, _ = await refusal_of(bank.as_("sh").approve(made.name))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RULE_DECIDES")
    again = await bank.as_("sh").get(made.name)
    assert (again.state, states(again)) == (R.STATE_PENDING, [("GIVER", "APPROVED"), ("TAKER", "WAITING")])
    assert await bank.owners("c3") == [("PRIMARY", "north", "nm")]


async def test_a_lock_needs_its_head_and_the_one_above_him(bank) -> None:
    end = date(2026, 12, 31)
    made = await bank.as_("nh").create("LOCK", end_date=end)
    assert states(made) == [("GIVER", "WAITING"), ("TAKER", "APPROVED")]
    assert made.approvals[0].desk_branch == "branches/region"
    assert await bank.holds() == []
    assert (await bank.as_("rh").approve(made.name)).state == R.STATE_APPROVED
    query = "SELECT kind, branch_id, manager_id, until_date FROM ownership_hold"
    assert await bank.rows(query) == [("LOCK", "north", "nm", end)]
    assert await bank.rows("SELECT rule FROM owner WHERE customer_id = 'c1' AND side = 'PRIMARY'") == [("HELD",)]


async def test_a_lock_to_a_secondary_branch_needs_both_heads_or_one_above_both(bank) -> None:
    end = date(2026, 12, 31)
    made = await bank.as_("sh").create("LOCK", end_date=end, to_manager="staff/sm")
    assert states(made) == [("GIVER", "WAITING"), ("TAKER", "APPROVED")]
    told = [(await bank.as_(who).get(made.name)).from_manager for who in ("sh", "nh", "rh")]
    assert told == ["", "staff/nm", "staff/nm"], "a secondary side is not told who the primary manager is"
    assert await bank.as_("rh").inbox() == await bank.as_("nh").inbox() == [made.name]
    assert (await bank.as_("nh").approve(made.name)).state == R.STATE_APPROVED
    assert (await bank.owners())[0] == SOUTH


async def test_one_head_above_both_sides_answers_for_both(bank) -> None:
    await bank.name("c1", "south", "sm")
    made = await bank.as_("sm").create("LOCK", end_date=date(2026, 12, 31))
    assert states(made) == [("GIVER", "WAITING"), ("TAKER", "WAITING")]
    assert (await bank.as_("rh").approve(made.name)).state == R.STATE_APPROVED
    assert (await bank.owners())[0] == SOUTH


async def test_a_lock_refuses_transfers_and_ends_early_as_it_began(bank, refusal_of) -> None:
    lock = await bank.as_("nh").create("LOCK", end_date=date(2026, 12, 31))
    await bank.as_("rh").approve(lock.name)
    code, reason, told = await refusal_of(bank.as_("nm").create("PUSH", to_branch="branches/south"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTECTED")
    assert told == {"kind": "LOCK", "until_date": "2026-12-31"}
    made = await bank.as_("nm").create("UNLOCK")
    assert (await bank.as_("rh").approve(made.name)).state == R.STATE_APPROVED
    assert await bank.holds() == []
    assert (await refusal_of(bank.as_("nh").create("UNLOCK")))[1] == "NOT_LOCKED"


@pytest.mark.parametrize("end", [date(2026, 6, 30), date(2027, 7, 1)])
async def test_a_lock_ends_within_twelve_months(bank, refusal_of, end) -> None:
    assert (await refusal_of(bank.as_("nh").create("LOCK", end_date=end)))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_head_reclaims_at_once_but_not_while_a_task_is_open(bank, refusal_of) -> None:
    bank.service.open_tasks.of = {("c1", "nm"): "tasks/t1"}
    code, reason, told = await refusal_of(bank.as_("nh").create("RECLAIM"))
    assert (code, reason, told) == (grpc.StatusCode.FAILED_PRECONDITION, "TASK_OPEN", {"task": "tasks/t1"})
    bank.service.open_tasks.reachable = False
    assert (await refusal_of(bank.as_("nh").create("RECLAIM")))[:2] == (
        grpc.StatusCode.UNAVAILABLE,
        "TASKS_UNREACHABLE",
    )
    bank.service.open_tasks.of, bank.service.open_tasks.reachable = {}, True
    done = await bank.as_("nh").create("RECLAIM")
    assert (done.state, done.from_manager) == (R.STATE_APPROVED, "staff/nm")
    assert (await bank.owners())[0] == ("PRIMARY", "north", None)
    assert (await refusal_of(bank.as_("nh").create("RECLAIM")))[1] == "NOT_MANAGED"
    assert (await refusal_of(bank.as_("nm").create("RECLAIM")))[1] in {"NOT_HEAD", "NOT_FOUND"}


async def test_the_same_request_gives_the_same_answer(bank) -> None:
    request_id = str(uuid.uuid4())
    made = await bank.as_("nh").create("PUSH", request_id=request_id, to_branch="branches/south")
    assert await bank.as_("nh").create("PUSH", request_id=request_id, to_branch="branches/south") == made
    yes = str(uuid.uuid4())
    done = await bank.as_("sh").approve(made.name, request_id=yes)
    assert await bank.as_("sh").approve(made.name, request_id=yes) == done
    assert await bank.rows("SELECT count(*) FROM ownership_change") == [(1,)]


async def test_an_old_etag_is_refused(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    seen = (await bank.as_("sh").get(made.name)).etag
    await bank.as_("nh").approve(made.name)
    code, reason, _ = await refusal_of(bank.as_("sh").approve(made.name, etag=seen))
    assert (code, reason) == (grpc.StatusCode.ABORTED, "ETAG_OLD")
    fresh = (await bank.as_("sh").get(made.name)).etag
    assert (await bank.as_("sh").approve(made.name, etag=fresh)).state == R.STATE_APPROVED
    old = bank.as_("nm2").create("PUSH", "c2", etag="0", to_manager="staff/nm2")
    assert (await refusal_of(old))[1] in {"ETAG_OLD", "NOT_FOUND"}


async def test_a_request_exists_only_for_whom_it_concerns(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south")
    for staff in ("nm", "nh", "sh", "rh", "boss"):
        assert (await bank.as_(staff).get(made.name)).name == made.name
    for staff in ("nm2", "sm", "nt"):
        assert (await refusal_of(bank.as_(staff).get(made.name)))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        assert (await refusal_of(bank.as_(staff).approve(made.name)))[1] == "NOT_FOUND"
    assert (await refusal_of(bank.as_("rh").approve(made.name)))[1] == "NOT_APPROVER"
    assert (await bank.as_("rh").get(made.name)).waits_for_caller is False


async def test_nobody_answers_about_himself_nor_asks_for_himself(bank, refusal_of) -> None:
    await bank.add("sh", "north")
    await bank.allocate("sh")
    made = await bank.as_("nh").create("PUSH", "sh", to_branch="branches/south", to_manager="staff/sm")
    assert [one.desk_branch for one in made.approvals] == ["", "branches/region"]
    assert (await refusal_of(bank.as_("sh").get(made.name)))[1] == "NOT_FOUND"
    assert await bank.as_("sh").inbox("OF_BRANCH") == []
    await bank.add("nh", "north")
    await bank.allocate("nh")
    assert (await refusal_of(bank.as_("nh").create("PUSH", "nh", to_manager="staff/nm")))[1] == "OWN_REQUEST"


async def test_nobody_answers_about_a_declared_relative_nor_asks_for_him_nor_gets_him(bank, refusal_of) -> None:
    for staff in ("nh", "sm"):
        query = "INSERT INTO staff_relation (customer_id, staff_id, kind, actor) VALUES ('c1', :staff, 'CHILD', :staff)"
        await bank.run(query, staff=staff)
    made = await bank.as_("nm").create("PUSH", to_branch="branches/south", to_manager="staff/sm")
    assert [one.desk_branch for one in made.approvals] == ["branches/region", "branches/south"]
    for call in (bank.as_("nh").get(made.name), bank.as_("nh").approve(made.name)):
        assert (await refusal_of(call))[1] == "NOT_FOUND"
    assert await bank.as_("nh").inbox() == await bank.as_("nh").inbox("OF_BRANCH") == []
    await bank.as_("rh").approve(made.name)
    assert (await refusal_of(bank.as_("sh").approve(made.name)))[1] == "MANAGER_UNFIT"
    assert (await bank.as_("sh").approve(made.name, to_manager="staff/sm2")).state == R.STATE_APPROVED
    assert (await refusal_of(bank.as_("nh").create("PUSH", to_manager="staff/nm")))[1] in {"OWN_REQUEST", "NOT_FOUND"}
    assert (await bank.as_("sm").pull()).state == R.STATE_PENDING
    assert await bank.rows("SELECT count(*) FROM ownership_request WHERE state = 'SILENT'") == [(1,)]
