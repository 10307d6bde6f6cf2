"""Asking for, approving and taking back leaves over the wire."""

import asyncio
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from banyan.assignment.v1 import leave_service_pb2 as pb
from banyan.assignment.v1 import leave_service_pb2_grpc
from banyan.assignment.v1.leave_pb2 import Leave

from chassis import clock, wire
from chassis.caller import Role
from services.assignment_svc.store import leaves


@pytest.fixture
def stub(service):
    return leave_service_pb2_grpc.LeaveServiceStub(service.channel)


def bank_day(days: int) -> date:
    return clock.bank_date(clock.now()) + timedelta(days=days)


def day(days: int):
    return wire.date_to_wire(bank_day(days))


def leave(first: int, last: int, **given: Any) -> Leave:
    whole: dict[str, Any] = {
        "staff": "staff/m1",
        "kind": Leave.KIND_ANNUAL,
        "from_date": day(first),
        "until_date": day(last),
    } | given
    return Leave(**whole)


MEI = ("m1", Role.MANAGER, "north")
HEAD = ("head", Role.BRANCH_HEAD, "north")


async def ask(office, call, request, who):
    staff, role, branch = who
    return await office.ask(call, request, role, staff=staff, branch=branch)


async def create(office, stub, asked: Leave, who=MEI) -> Leave:
    return await ask(office, stub.CreateLeave, pb.CreateLeaveRequest(leave=asked), who)


async def approve(office, stub, name: str, who=HEAD):
    return await ask(office, stub.ApproveLeave, pb.ApproveLeaveRequest(name=name), who)


async def cancel(office, stub, name: str):
    return await ask(office, stub.CancelLeave, pb.CancelLeaveRequest(name=name, reason="stays"), MEI)


async def test_a_leave_is_asked_for_and_approved_by_the_head(office, stub, service) -> None:
    asked = await create(office, stub, leave(1, 3, substitute="staff/m2", note=" sea "))
    assert (asked.state, asked.branch, asked.creator, asked.note) == (
        Leave.STATE_REQUESTED,
        "branches/north",
        "staff/m1",
        "sea",
    )
    approved = (await approve(office, stub, asked.name)).leave
    assert (approved.state, approved.decider) == (Leave.STATE_APPROVED, "staff/head")
    async with service.parts.database.read() as conn:
        away = await leaves.approved_on(conn, ["m1", "m2"], bank_day(3))
        assert set(away) == {"m1"}
        assert not await leaves.approved_on(conn, ["m1"], bank_day(4))
    assert (await office.refusal(approve(office, stub, asked.name)))[:2] == ("LEAVE_DECIDED", {"state": "APPROVED"})


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        (leave(3, 1), "FIELD_INVALID", "leave.until_date"),
        (leave(1, 368), "FIELD_INVALID", "leave.until_date"),
        (leave(-3, -1), "FIELD_INVALID", "leave.until_date"),
        (leave(1, 2, kind=Leave.KIND_UNSPECIFIED), "FIELD_INVALID", "leave.kind"),
        (leave(1, 2, staff="m1"), "FIELD_INVALID", "leave.staff"),
        (leave(1, 2, substitute="staff/m1"), "FIELD_INVALID", "leave.substitute"),
        (leave(1, 2, substitute="staff/nobody"), "REFERENCE_UNKNOWN", "leave.substitute"),
        (leave(1, 2, note="x" * 401), "FIELD_INVALID", "leave.note"),
    ],
)
async def test_a_leave_that_cannot_be_is_refused_with_its_field(office, stub, asked, reason, field) -> None:
    told = await office.refusal(create(office, stub, asked))
    assert (told[0], told[2]) == (reason, [field])


async def test_of_two_leaves_with_the_same_days_one_is_refused_even_at_once(office, stub) -> None:
    answers = await asyncio.gather(
        *(create(office, stub, leave(first, first + 2)) for first in (1, 2, 3)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(refused) == 2
    (kept,) = [answer for answer in answers if isinstance(answer, Leave)]
    told = await office.refusal(create(office, stub, leave(3, 3)))
    assert told[:2] == ("LEAVE_OVERLAP", {"leave": kept.name.removeprefix("leaves/")})
    await cancel(office, stub, kept.name)
    await create(office, stub, leave(3, 3))


async def test_nobody_approves_his_own_and_no_head_from_elsewhere_sees_it(office, stub) -> None:
    own = await create(office, stub, leave(1, 2, staff="staff/head"), HEAD)
    assert (await office.refusal(approve(office, stub, own.name)))[0] == "NOT_LEAVE_HEAD"
    assert (await approve(office, stub, own.name, ("boss", Role.BRANCH_HEAD, "root"))).leave.decider == "staff/boss"
    other = await create(office, stub, leave(1, 2))
    assert (await office.refusal(approve(office, stub, other.name, ("x", Role.BRANCH_HEAD, "south"))))[0] == "NOT_FOUND"
    assert (await office.refusal(approve(office, stub, other.name, MEI)))[0] == "NOT_LEAVE_HEAD"
    assert (await office.refusal(create(office, stub, leave(5, 6), ("m2", Role.MANAGER, "leaf"))))[0] == "NOT_FOUND"
    by_head = await create(office, stub, leave(5, 6, staff="staff/m2"), HEAD)
    assert by_head.branch == "branches/leaf"


async def test_a_leave_that_has_begun_ends_yesterday_when_it_is_taken_back(office, stub) -> None:
    begun = await create(office, stub, leave(-2, 4))
    await approve(office, stub, begun.name)
    told = (await cancel(office, stub, begun.name)).leave
    assert (told.state, told.until_date) == (Leave.STATE_APPROVED, day(-1))
    assert (await office.refusal(cancel(office, stub, begun.name)))[0] == "LEAVE_DECIDED"
    coming = await create(office, stub, leave(5, 6))
    assert (await cancel(office, stub, coming.name)).leave.state == Leave.STATE_CANCELLED
    assert (await office.refusal(cancel(office, stub, coming.name)))[1] == {"state": "CANCELLED"}


async def test_leaves_are_listed_by_branch_and_days_to_who_may_see_them(office, stub) -> None:
    first, second = await create(office, stub, leave(1, 2)), await create(office, stub, leave(4, 6))
    third = await create(office, stub, leave(2, 3, staff="staff/m2"), ("m2", Role.MANAGER, "leaf"))

    async def listed(who=HEAD, **given) -> list[str]:
        names, token = [], ""
        while True:
            request = pb.ListLeavesRequest(page_size=1, page_token=token, **given)
            page = await ask(office, stub.ListLeaves, request, who)
            names += [one.name for one in page.leaves]
            token = page.next_page_token
            if not token:
                return names

    assert await listed() == [first.name, third.name, second.name]
    assert await listed(("x", Role.BRANCH_HEAD, "south")) == []
    assert await listed(MEI) == [first.name, second.name]
    request = pb.ListLeavesRequest(staff="staff/m2")
    told = await office.ask(stub.ListLeaves, request, Role.ADMIN)
    assert [one.name for one in told.leaves] == [third.name]
    told = await office.ask(stub.ListLeaves, pb.ListLeavesRequest(branch="branches/leaf"), Role.ADMIN)
    assert [one.name for one in told.leaves] == [third.name]
    assert await listed(from_date=day(3), until_date=day(4)) == [third.name, second.name]
    await cancel(office, stub, second.name)
    assert await listed() == [first.name, third.name]
    assert await listed(show_cancelled=True) == [first.name, third.name, second.name]
    got = office.ask(stub.GetLeave, pb.GetLeaveRequest(name=third.name), Role.MANAGER, staff="m1", branch="north")
    assert (await office.refusal(got))[0] == "NOT_FOUND"
