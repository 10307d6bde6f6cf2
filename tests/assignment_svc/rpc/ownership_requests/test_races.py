"""Answers that meet: whoever is first decides, and what was approved is carried out once."""

import asyncio
from typing import Any

import grpc
from banyan.assignment.v1 import ownership_request_pb2 as rp

R = rp.OwnershipRequest
COUNT = "SELECT count(*) FROM ownership_change"
CARRIED = "SELECT count(*) FROM request_transition WHERE event = 'CARRY_OUT'"


async def second_head(bank, branch: str) -> Any:
    query = "INSERT INTO staff (staff_id, display_name, branch_id, roles) VALUES ('x', 'x', :branch, '{BRANCH_HEAD}')"
    await bank.run(query, branch=branch)
    return type(bank.as_("nh"))(bank, "x", branch, "BRANCH_HEAD")


async def test_both_heads_at_once_carry_it_out_once(bank) -> None:
    for customer in ("c1", "c2"):
        made = await bank.as_("nm").create("PUSH", customer, to_branch="branches/south", to_manager="staff/sm")
        answers = await asyncio.gather(bank.as_("nh").approve(made.name), bank.as_("sh").approve(made.name))
        assert sorted(one.state for one in answers) == [R.STATE_PENDING, R.STATE_APPROVED]
    assert await bank.rows(COUNT) == await bank.rows(CARRIED) == [(2,)]


async def test_of_two_who_answer_for_one_side_one_is_late(bank) -> None:
    other = await second_head(bank, "north")
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    answers = await asyncio.gather(bank.as_("nh").approve(made.name), other.approve(made.name), return_exceptions=True)
    [late] = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert late.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await bank.rows(COUNT) == await bank.rows(CARRIED) == [(1,)]


async def test_a_yes_and_a_no_at_once_decide_one_way(bank) -> None:
    made = await bank.as_("nh").create("PUSH", to_branch="branches/south", to_manager="staff/sm")
    other = await second_head(bank, "south")
    answers = await asyncio.gather(
        bank.as_("sh").approve(made.name),
        other.refuse(made.name),
        bank.as_("nh").withdraw(made.name),
        return_exceptions=True,
    )
    done = [one for one in answers if not isinstance(one, BaseException)]
    assert len(done) == 1
    assert (await bank.as_("nh").get(made.name)).state == done[0].state
    moved = (await bank.owners())[0] == ("PRIMARY", "south", "sm")
    assert moved is (done[0].state == R.STATE_APPROVED)
    assert ("TRANSFER", "north") not in await bank.holds()


async def test_of_many_requests_for_one_customer_at_once_one_is_made(bank) -> None:
    calls = [bank.as_(staff).create("PUSH", to_branch="branches/south") for staff in ("nm", "nh") for _ in range(8)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert {one.code() for one in refused} == {grpc.StatusCode.ABORTED}
    assert (len(refused), await bank.holds()) == (15, [("TRANSFER", "north")])


async def test_pulls_and_a_push_at_once_bind_the_customer_once(bank) -> None:
    calls = [bank.as_("sm").pull() for _ in range(6)]
    answers = await asyncio.gather(
        *calls, bank.as_("nm").create("PUSH", to_manager="staff/nm2"), return_exceptions=True
    )
    assert {one.state for one in answers[:6] if not isinstance(one, BaseException)} == {R.STATE_PENDING}
    bound = await bank.rows("SELECT count(*) FROM ownership_request WHERE exclusive")
    assert bound == [(1,)]
