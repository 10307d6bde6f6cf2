"""Key marks over the wire: tested by night, proposed and approved by hand, ended."""

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import customer_codes_pb2, key_mark_pb2, key_mark_service_pb2_grpc
from banyan.customer.v1 import key_mark_service_pb2 as pb
from google.rpc import error_details_pb2
from google.type.date_pb2 import Date
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from chassis.feed import Wakeups
from services.customer_svc.jobs.expiry import expire
from services.customer_svc.store.facts import read_page

DAY = date(2026, 6, 30)
UNTIL = date(2026, 12, 31)
State = key_mark_pb2.KeyMarkProposal
Kinds = key_mark_pb2.KeyMarkChange
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


def day(of: date) -> Date:
    return Date(year=of.year, month=of.month, day=of.day)


class Asker:
    """Calls as somebody about a customer, Wang unless told otherwise."""

    def __init__(self, channel, metadata) -> None:
        self._stub = key_mark_service_pb2_grpc.KeyMarkServiceStub(channel)
        self._metadata = metadata

    async def call(self, method: str, **fields):
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def mark(self, customer: str = "wang"):
        return await self.call("GetKeyMark", name=f"customers/{customer}/keyMark")

    async def propose(self, until: date = UNTIL, customer: str = "wang", request_id: str = ""):
        proposal = key_mark_pb2.KeyMarkProposal(reason="owns the mill", end_date=day(until))
        given = {"key_mark_proposal": proposal, "request_id": request_id or str(uuid.uuid4())}
        return await self.call("CreateKeyMarkProposal", parent=f"customers/{customer}", **given)

    async def decide(self, step: str, proposal, reason: str = "so be it", request_id: str = ""):
        given = {"reason": reason, "request_id": request_id or str(uuid.uuid4())}
        return (await self.call(f"{step}KeyMarkProposal", name=proposal.name, **given)).key_mark_proposal

    async def changes(self, **fields):
        return await self.call("ListKeyMarkChanges", parent="customers/wang", **fields)

    async def waiting(self, **fields) -> list[str]:
        found = await self.call("ListKeyMarkApprovals", **fields)
        return [one.name for one in found.key_mark_proposals]


@pytest.fixture
def asks(tag_channel, signed_in):
    def make(staff: str, branch: str = "b1", role: Role = Role.BRANCH_HEAD) -> Asker:
        if role is Role.SERVICE:
            return Asker(tag_channel, signed_in.service())
        return Asker(tag_channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


@pytest.fixture
def manager(asks) -> Asker:
    return asks("m1", role=Role.MANAGER)


@pytest.fixture
def head(asks) -> Asker:
    return asks("h1")


@pytest.fixture
def region(asks) -> Asker:
    """The head of the branch above the primary one."""
    return asks("h0", "north")


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason


async def customer(bank) -> tuple[str | None, date | None]:
    async with bank.database.read() as conn:
        row = await conn.execute(text("SELECT key_reason, key_until_date FROM customers WHERE customer_id = 'wang'"))
        reason, until_date = row.one()
        return reason, until_date


async def is_told_as_key(bank) -> bool:
    async with bank.database.read() as conn:
        return {key: fact.key_customer for _, key, fact in await read_page(conn, 0, "", 10)}["wang"]


def night_of_wang(**change: object) -> dict[str, object]:
    row = {"customer_id": "wang", "month_end": True, "asset_average_minor": None, "loan_outstanding_minor": None}
    return {**row, "loan_overdue": False, "loan_clean": True, **change}


async def test_the_nightly_test_makes_a_key_customer_and_tells_why(head, filled) -> None:
    assert not (await head.mark()).key_customer
    await filled.load(
        "key_tests", [night_of_wang(asset_average_minor=500_000_01, loan_outstanding_minor=600_000_00)], DAY
    )
    mark = await head.mark()
    assert (mark.key_customer, mark.reason) == (True, customer_codes_pb2.KEY_REASON_BOTH)
    assert (mark.since_date, mark.test_date, mark.pending_proposal) == (day(DAY), day(DAY), "")
    assert (await customer(filled), await is_told_as_key(filled)) == (("BOTH", None), True)
    await filled.load("key_tests", [night_of_wang(month_end=False, loan_overdue=True)], date(2026, 7, 1))
    assert await customer(filled) == ("ASSET", None)
    for month_end in (date(2026, 7, 31), date(2026, 8, 31)):
        await filled.load("key_tests", [], month_end)
    assert (await head.mark()).asset_below_count == 2
    await filled.load("key_tests", [], date(2026, 9, 30))
    assert (await customer(filled), await is_told_as_key(filled)) == ((None, None), False)
    page = await head.changes(page_size=2)
    rest = await head.changes(page_size=2, page_token=page.next_page_token)
    changes = [*page.key_mark_changes, *rest.key_mark_changes]
    reasons = customer_codes_pb2.KeyReason
    assert [(change.old_reason, change.new_reason, change.actor) for change in changes] == [
        (reasons.Value("KEY_REASON_ASSET"), 0, "batch"),
        (reasons.Value("KEY_REASON_BOTH"), reasons.Value("KEY_REASON_ASSET"), "batch"),
        (0, reasons.Value("KEY_REASON_BOTH"), "batch"),
    ]
    assert changes[-1].reason.startswith("asset_average_minor 50000001, loan_outstanding_minor 60000000")


async def test_one_proposes_and_another_approves_and_all_is_history(manager, head, filled) -> None:
    request_id = str(uuid.uuid4())
    proposal = await manager.propose(request_id=request_id)
    assert (proposal.state, proposal.proposer, proposal.reason) == (State.STATE_PROPOSED, "staff/m1", "owns the mill")
    assert await manager.propose(request_id=request_id) == proposal
    assert await refusal(head.propose()) == (grpc.StatusCode.ALREADY_EXISTS, "PROPOSAL_PENDING")
    assert (await head.mark()).pending_proposal == proposal.name
    assert await customer(filled) == (None, None), "nothing counts before it is approved"
    request_id = str(uuid.uuid4())
    approved = await head.decide("Approve", proposal, request_id=request_id)
    assert (approved.state, approved.actor, approved.decision_reason) == (State.STATE_APPROVED, "h1", "so be it")
    assert await head.decide("Approve", proposal, request_id=request_id) == approved
    assert (await customer(filled), await is_told_as_key(filled)) == (("MANUAL", UNTIL), True)
    mark = await head.mark()
    assert (mark.reason, mark.end_date) == (customer_codes_pb2.KEY_REASON_MANUAL, day(UNTIL))
    assert (mark.since_date, mark.pending_proposal) == (day(DAY), "")
    changes = (await head.changes()).key_mark_changes
    assert [(one.kind, one.actor, one.reason, one.proposal) for one in changes] == [
        (Kinds.KIND_APPROVED, "h1", "so be it", proposal.name),
        (Kinds.KIND_PROPOSED, "m1", "owns the mill", proposal.name),
    ]
    assert await manager.call("GetKeyMarkProposal", name=proposal.name) == approved


async def test_four_eyes_and_only_heads_of_the_primary_branch_or_the_one_above_decide(asks, head, region) -> None:
    own = await head.propose()
    assert await refusal(head.decide("Approve", own)) == (grpc.StatusCode.PERMISSION_DENIED, "FOUR_EYES")
    assert await refusal(head.decide("Refuse", own)) == (grpc.StatusCode.PERMISSION_DENIED, "FOUR_EYES")
    assert await refusal(asks("h2", "b2").decide("Approve", own)) == NOT_FOUND
    assert await refusal(asks("h9", "b9").decide("Approve", own)) == NOT_FOUND
    assert (await refusal(asks("m1", role=Role.MANAGER).decide("Approve", own)))[1] == "ROLE_FORBIDDEN"
    assert await refusal(region.decide("Withdraw", own)) == (grpc.StatusCode.PERMISSION_DENIED, "FOUR_EYES")
    assert (await region.decide("Approve", own)).state == State.STATE_APPROVED


async def test_whoever_proposes_or_decides_is_noted(manager, head, filled) -> None:
    await head.decide("Approve", await manager.propose())
    async with filled.database.read() as conn:
        noted = await conn.execute(
            text("SELECT method, caller FROM audit WHERE customer_id = 'wang' ORDER BY audit_id")
        )
        assert [tuple(row) for row in noted] == [("CreateKeyMarkProposal", "m1"), ("ApproveKeyMarkProposal", "h1")]


async def test_nobody_proposes_or_decides_a_mark_of_himself(asks, manager, head) -> None:
    himself = asks("wang")
    assert await refusal(himself.propose()) == (grpc.StatusCode.PERMISSION_DENIED, "FOUR_EYES")
    proposal = await manager.propose()
    assert await refusal(himself.decide("Approve", proposal)) == (grpc.StatusCode.PERMISSION_DENIED, "FOUR_EYES")
    approved = await head.decide("Approve", proposal)
    assert await refusal(himself.decide("End", approved)) == (grpc.StatusCode.PERMISSION_DENIED, "FOUR_EYES")


async def test_a_head_two_levels_up_sees_but_does_not_decide(asks, manager, filled) -> None:
    await filled.grow({"top": None, "north": "top", "b1": "north", "b2": "north", "b9": None})
    proposal = await manager.propose()
    top = asks("h00", "top")
    assert await refusal(top.decide("Approve", proposal)) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_APPROVER")
    assert await top.waiting() == []
    assert not (await top.mark()).key_customer


async def test_each_approver_lists_what_waits_for_him_page_by_page(asks, manager, head, region) -> None:
    first = await manager.propose()
    second = await head.propose(customer="li")
    assert await head.waiting() == [first.name], "not what he proposed himself"
    page = await region.call("ListKeyMarkApprovals", page_size=1)
    assert [one.name for one in page.key_mark_proposals] == [first.name]
    assert await region.waiting(page_size=1, page_token=page.next_page_token) == [second.name]
    assert await asks("h2", "b2").waiting() == []
    await head.decide("Refuse", first)
    assert await head.waiting() == []


async def test_a_refused_or_withdrawn_proposal_changes_nothing_and_makes_room_for_another(
    manager, head, filled
) -> None:
    refused = await head.decide("Refuse", await manager.propose())
    withdrawn = await manager.decide("Withdraw", await manager.propose(), reason="")
    assert (refused.state, withdrawn.state) == (State.STATE_REFUSED, State.STATE_WITHDRAWN)
    assert await customer(filled) == (None, None)
    state = (grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_STATE")
    assert await refusal(head.decide("Approve", withdrawn)) == state
    assert await refusal(manager.decide("Withdraw", refused)) == state
    assert await refusal(head.decide("End", refused)) == state
    listed = await head.call("ListKeyMarkProposals", parent="customers/wang", page_size=1)
    rest = await head.call(
        "ListKeyMarkProposals", parent="customers/wang", page_size=1, page_token=listed.next_page_token
    )
    assert [*listed.key_mark_proposals, *rest.key_mark_proposals] == [withdrawn, refused]


async def test_a_mark_is_ended_by_hand_and_stays_where_a_route_carries_it(manager, head, filled) -> None:
    approved = await head.decide("Approve", await manager.propose())
    await filled.load("key_tests", [night_of_wang(asset_average_minor=500_000_01)], DAY)
    assert await customer(filled) == ("ASSET", None), "a route goes before a hand"
    assert (await head.mark()).end_date == day(UNTIL)
    ended = await head.decide("End", approved)
    assert (ended.state, await customer(filled)) == (State.STATE_ENDED, ("ASSET", None))
    assert not (await head.mark()).HasField("end_date")


async def test_a_later_approval_takes_the_place_of_an_earlier(manager, head, region, filled) -> None:
    earlier = await head.decide("Approve", await manager.propose())
    later = await region.decide("Approve", await head.propose(UNTIL + timedelta(days=30)))
    assert later.state == State.STATE_APPROVED
    replaced = await head.call("GetKeyMarkProposal", name=earlier.name)
    assert replaced.state == State.STATE_REPLACED
    assert await customer(filled) == ("MANUAL", UNTIL + timedelta(days=30))
    assert (await head.mark()).since_date == day(DAY)


async def test_end_dates_pass_by_themselves_once(manager, head, filled) -> None:
    wakeups = Wakeups(None)
    approved = await head.decide("Approve", await manager.propose())
    waiting = await manager.propose(UNTIL)
    await filled.load("customers", [], UNTIL)
    assert await expire(filled.database, wakeups) == (0, 0), "the last day counts"
    await filled.load("customers", [], UNTIL + timedelta(days=1))
    assert (await refusal(head.decide("Approve", waiting)))[1] == "PROPOSAL_STATE"
    assert await expire(filled.database, wakeups) == (0, 2)
    assert await expire(filled.database, wakeups) == (0, 0)
    await wakeups.close()
    assert (await customer(filled), await is_told_as_key(filled)) == ((None, None), False)
    states = [(await head.call("GetKeyMarkProposal", name=one.name)).state for one in (approved, waiting)]
    assert states == [State.STATE_EXPIRED, State.STATE_LAPSED]
    manual, none = customer_codes_pb2.KEY_REASON_MANUAL, customer_codes_pb2.KEY_REASON_UNSPECIFIED
    changes = (await head.changes(page_size=2)).key_mark_changes
    assert {(one.kind, one.old_reason, one.new_reason, one.actor) for one in changes} == {
        (Kinds.KIND_EXPIRED, manual, none, "expiry"),
        (Kinds.KIND_LAPSED, manual, manual, "expiry"),
    }


@pytest.mark.parametrize("until", [date(2026, 6, 29), date(2027, 7, 2)])
async def test_a_mark_ends_within_the_days_of_the_policy(manager, until: date) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as no:
        await manager.propose(until)
    assert no.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (no.value.details() or "").startswith("key_mark_proposal.end_date")


async def test_who_is_not_on_the_primary_side_learns_nothing(asks, manager) -> None:
    proposal = await manager.propose()
    for other in (asks("h2", "b2"), asks("h9", "b9"), asks("t1", role=Role.TELLER)):
        assert await refusal(other.mark()) == NOT_FOUND
        assert await refusal(other.changes()) == NOT_FOUND
        assert await refusal(other.call("GetKeyMarkProposal", name=proposal.name)) == NOT_FOUND
        assert await refusal(other.call("ListKeyMarkProposals", parent="customers/wang")) == NOT_FOUND
    assert await refusal(asks("h2", "b2").propose()) == NOT_FOUND
    assert not (await asks("", role=Role.SERVICE).mark()).key_customer
    assert await refusal(manager.mark("nobody")) == NOT_FOUND


async def test_of_two_who_decide_at_once_one_is_told_that_it_is_decided(manager, head, region, filled) -> None:
    proposal = await manager.propose()
    steps = [head.decide("Approve", proposal), region.decide("Refuse", proposal)]
    answers = await asyncio.gather(*steps, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert [answer.code() for answer in refused] == [grpc.StatusCode.FAILED_PRECONDITION]
    decided = await head.call("GetKeyMarkProposal", name=proposal.name)
    assert (await customer(filled))[0] == ("MANUAL" if decided.state == State.STATE_APPROVED else None)
