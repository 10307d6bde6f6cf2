"""MergeService over the wire: who may do what about duplicates and merges, and what is shown to whom."""

import asyncio
import uuid
from datetime import date

import grpc
import pytest
from banyan.customer.v1 import customer_service_pb2, customer_service_pb2_grpc, merge_pb2, merge_service_pb2_grpc
from banyan.customer.v1 import merge_service_pb2 as pb
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from sqlalchemy import text

from chassis.caller import Role
from chassis.feed import Publisher, Wakeups
from chassis.operations import Operations
from chassis.server import Served
from chassis.testing import app_of, in_process
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.merges import MergeOwner
from services.customer_svc.jobs.merges import find_if_due, run_some
from services.customer_svc.rpc.customer_service import CustomerServicer
from services.customer_svc.rpc.merge_service import FIND, Finding, MergeServicer
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.store import facts
from services.customer_svc.usecases.run_merges import Peers

SECRET = b"s" * 32
ID = {"id_type": "ID_CARD", "id_number": "110101199001011234"}


class Forecast:
    """Stands for the other services' dry runs."""

    async def owners_after(self, merging):
        del merging
        return [MergeOwner("b1", primary=True, manager_id="m1"), MergeOwner("b2", primary=False, manager_id=None)]

    async def contact_count(self, merging):
        del merging


async def followed(_customer_id):
    """Stands for owners that are followed in time."""


async def answers(_merging):
    """Stands for a service that does its part; the merged customer has no owner there."""
    return False


@pytest.fixture
async def stubs(bank, signed_in, peers, tmp_path):
    """Wang is twice at b1 and once more at b2; all lie under north."""
    born = {"display_name": "王小明", "birth_date": date(1990, 1, 1)}
    await bank.load(
        "customers",
        [
            {"customer_id": "w1", **born, **ID, "mobile": "13812345678"},
            {"customer_id": "w2", **born, "mobile": "13812345678"},
            {"customer_id": "w3", "display_name": "王明", **ID},
            {"customer_id": "firm", "customer_type": "CORPORATE", "display_name": "F"},
        ],
    )
    await bank.load("accounts", [{"account_id": "a2", "customer_id": "w2", "branch_id": "b1"}])
    at = {"w1": "b1", "w2": "b1", "w3": "b2", "firm": "b1"}
    await bank.own({who: [Owner(branch, "PRIMARY", "m1", None)] for who, branch in at.items()})
    await bank.grow({"north": None, "b1": "north", "b2": "north"})
    long_work = Operations(bank.database, "customer", {FIND: Finding(bank.database)})
    wakeups = Wakeups(None)
    publisher = Publisher(bank.database, facts.FEED, facts.read_page, wakeups)
    customers = CustomerServicer(bank.database, publisher, followed, SECRET, "CNY", bank.keys, peers)
    services = [
        Served(
            "banyan.customer.v1.MergeService",
            merge_service_pb2_grpc.add_MergeServiceServicer_to_server,
            MergeServicer(bank.database, long_work, Forecast(), SECRET),
        ),
        Served(
            "banyan.customer.v1.CustomerService",
            customer_service_pb2_grpc.add_CustomerServiceServicer_to_server,
            customers,
        ),
    ]
    await find_if_due(bank.database)
    async with in_process(app_of(services, ALLOWED, signed_in, "customer.banyan"), tmp_path) as channel:
        yield merge_service_pb2_grpc.MergeServiceStub(channel), customer_service_pb2_grpc.CustomerServiceStub(channel)
    await wakeups.close()


@pytest.fixture
def stub(stubs):
    return stubs[0]


@pytest.fixture
def head(signed_in):
    """`head("b1")` is the metadata of that branch's head; another one by another name."""

    def of(branch_id, staff_id=""):
        return signed_in.staff(Role.BRANCH_HEAD, staff_id=staff_id or f"head-{branch_id}", branch_id=branch_id)

    return of


@pytest.fixture
def manager(signed_in):
    return signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1")


def reason_of(error):
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for packed in Status.FromString(value).details:
                info = ErrorInfo()
                if packed.Unpack(info):
                    return info.reason, dict(info.metadata)
    return "", {}


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


TAKEN_BY_B2 = (
    "UPDATE merge_events SET actor = 'h8', branch_id = 'b2' WHERE merge_id = :merge",
    "UPDATE merges SET proposer_branch_id = 'b2' WHERE merge_id = :merge",
    "UPDATE owners SET branch_id = 'b2'",
)


def proposal(survivor="w1", merged="w2", **more):
    merge = merge_pb2.Merge(survivor=f"customers/{survivor}", merged_customer=f"customers/{merged}", reason="one")
    return pb.ProposeMergeRequest(merge=merge, request_id=str(uuid.uuid4()), **more)


def about(kind, name, **more):
    return kind(name=name, request_id=str(uuid.uuid4()), **more)


async def pairs(stub, caller, **more):
    found = await stub.ListDuplicates(pb.ListDuplicatesRequest(**more), metadata=caller)
    return [[one.customer.removeprefix("customers/") for one in pair.customers] for pair in found.duplicates]


async def test_pairs_are_told_to_those_who_know_both_the_surest_first(stub, head, manager):
    assert await pairs(stub, head("north")) == [["w1", "w3"], ["w1", "w2"]]
    assert await pairs(stub, head("b1")) == [["w1", "w2"]]
    assert await pairs(stub, manager) == [["w1", "w2"]]
    assert await pairs(stub, head("b2")) == []
    found = await stub.ListDuplicates(pb.ListDuplicatesRequest(page_size=1), metadata=head("north"))
    assert found.duplicates[0].matches == [merge_pb2.Duplicate.MATCH_ID_NUMBER]
    assert found.duplicates[0].customers[1].primary_branch == "branches/b2"
    rest = pb.ListDuplicatesRequest(page_size=1, page_token=found.next_page_token)
    second = await stub.ListDuplicates(rest, metadata=head("north"))
    assert second.duplicates[0].matches == [
        merge_pb2.Duplicate.MATCH_MOBILE_NAME,
        merge_pb2.Duplicate.MATCH_NAME_BIRTH_DATE,
    ]
    assert second.duplicates[0].score == 90
    assert await refused(
        stub.GetDuplicate(pb.GetDuplicateRequest(name=found.duplicates[0].name), metadata=head("b1"))
    ) == ("NOT_FOUND", {})


async def test_a_dismissed_pair_stays_dismissed_until_it_is_opened_again(stub, head, bank):
    (pair,) = (await stub.ListDuplicates(pb.ListDuplicatesRequest(), metadata=head("b1"))).duplicates
    request = about(pb.DismissDuplicateRequest, pair.name, reason="twins")
    await stub.DismissDuplicate(request, metadata=head("b1"))
    await bank.load("customers", [{"customer_id": "n", "display_name": "N"}], date(2026, 7, 1))
    await find_if_due(bank.database)
    assert await pairs(stub, head("b1")) == []
    dismissed = merge_pb2.Duplicate.STATE_DISMISSED
    assert await pairs(stub, head("b1"), state=dismissed, customer="customers/w2") == [["w1", "w2"]]
    await stub.ReopenDuplicate(about(pb.ReopenDuplicateRequest, pair.name), metadata=head("b1"))
    assert await pairs(stub, head("b1")) == [["w1", "w2"]]


async def test_a_value_that_many_share_makes_no_pairs_and_a_pair_that_is_none_any_more_goes(stub, bank, head):
    crowd = [{"customer_id": f"c{n}", "display_name": "李", "mobile": "13900000000"} for n in range(11)]
    await bank.load("customers", [*crowd, {"customer_id": "w2", "display_name": "Other"}], date(2026, 7, 1))
    assert await find_if_due(bank.database) == 1
    assert await find_if_due(bank.database) is None
    assert await pairs(stub, head("b1")) == []


async def test_what_would_move_is_shown_and_nothing_stored(stub, head):
    shown = await stub.ProposeMerge(proposal(validate_only=True), metadata=head("b1"))
    assert not shown.merge.name
    assert shown.preview.account_count == 1
    assert not shown.preview.HasField("contact_count")
    assert [owner.branch for owner in shown.preview.owners_after] == ["branches/b1", "branches/b2"]
    assert not (await stub.ListMerges(pb.ListMergesRequest(), metadata=head("north"))).merges


@pytest.mark.parametrize(
    ("survivor", "merged", "reason"),
    [("w1", "w1", "MERGE_UNFIT"), ("w1", "firm", "MERGE_UNFIT"), ("w1", "w3", "NOT_FOUND"), ("w1", "x", "NOT_FOUND")],
)
async def test_what_cannot_be_proposed(stub, head, survivor, merged, reason):
    assert (await refused(stub.ProposeMerge(proposal(survivor, merged), metadata=head("b1"))))[0] == reason


async def test_another_person_approves_and_each_stands_in_one_open_merge(stub, head, manager):
    request = proposal()
    merge = (await stub.ProposeMerge(request, metadata=head("b1"))).merge
    assert (await stub.ProposeMerge(request, metadata=head("b1"))).merge == merge
    assert (await refused(stub.ProposeMerge(proposal("w2", "w1"), metadata=manager)))[0] == "MERGE_OPEN"
    approve = about(pb.ApproveMergeRequest, merge.name)
    assert (await refused(stub.ApproveMerge(approve, metadata=head("b1"))))[0] == "FOUR_EYES"
    assert (await refused(stub.ApproveMerge(approve, metadata=head("b2"))))[0] == "NOT_FOUND"
    stale = about(pb.ApproveMergeRequest, merge.name, etag="0")
    # The proposer leads the branch that is asked: whoever leads one above answers for it.
    assert (await refused(stub.ApproveMerge(stale, metadata=head("north"))))[0] == "ETAG_MISMATCH"
    waiting = await stub.ListMerges(pb.ListMergesRequest(waiting=True), metadata=head("north"))
    assert [one.name for one in waiting.merges] == [merge.name]
    running = (await stub.ApproveMerge(approve, metadata=head("north"))).merge
    assert running.state == merge_pb2.Merge.STATE_RUNNING
    again = about(pb.ApproveMergeRequest, merge.name)
    assert (await refused(stub.ApproveMerge(again, metadata=head("north"))))[0] == "MERGE_STATE"


async def test_two_primary_branches_need_both_heads(stub, head):
    merge = (await stub.ProposeMerge(proposal("w1", "w3"), metadata=head("north"))).merge
    assert list(merge.waiting_branches) == ["branches/b1", "branches/b2"]
    first = (await stub.ApproveMerge(about(pb.ApproveMergeRequest, merge.name), metadata=head("b1"))).merge
    assert first.state == merge_pb2.Merge.STATE_PROPOSED
    assert list(first.waiting_branches) == ["branches/b2"]
    second = (await stub.ApproveMerge(about(pb.ApproveMergeRequest, merge.name), metadata=head("b2"))).merge
    assert second.state == merge_pb2.Merge.STATE_RUNNING


async def test_a_proposal_is_rejected_or_taken_back(stub, head, manager):
    merge = (await stub.ProposeMerge(proposal(), metadata=manager)).merge
    rejecting = about(pb.RejectMergeRequest, merge.name, reason="two")
    assert (await stub.RejectMerge(rejecting, metadata=head("b1"))).merge.state == merge_pb2.Merge.STATE_REJECTED
    other = (await stub.ProposeMerge(proposal(), metadata=manager)).merge
    cancelling = about(pb.CancelMergeRequest, other.name)
    assert (await refused(stub.CancelMerge(cancelling, metadata=head("b1"))))[0] == "NOT_APPROVER"
    cancelled = (await stub.CancelMerge(cancelling, metadata=manager)).merge
    assert cancelled.state == merge_pb2.Merge.STATE_CANCELLED
    assert [event.verb for event in cancelled.events] == [
        merge_pb2.MergeEvent.VERB_PROPOSE,
        merge_pb2.MergeEvent.VERB_CANCEL,
    ]


async def done(stub, bank, manager, head, merged="w2"):
    merge = (await stub.ProposeMerge(proposal("w1", merged), metadata=manager)).merge
    await stub.ApproveMerge(about(pb.ApproveMergeRequest, merge.name), metadata=head)
    peers = Peers(answers, answers, answers, answers)
    await run_some(bank.database, peers)
    return merge.name


async def test_who_asks_for_the_merged_one_is_told_of_the_survivor_if_he_sees_him(
    stubs, bank, head, manager, signed_in
):
    stub, customers = stubs
    await done(stub, bank, manager, head("b1"))
    asked = customer_service_pb2.GetCustomerRequest(name="customers/w2")
    sent = await refused(customers.GetCustomer(asked, metadata=head("b1")))
    assert sent == ("CUSTOMER_MERGED", {"merged_into": "customers/w1"})
    assert await refused(customers.GetCustomer(asked, metadata=head("b2"))) == ("NOT_FOUND", {})
    listed = await stub.ListMergedCustomers(pb.ListMergedCustomersRequest(), metadata=signed_in.service())
    assert [(one.merged_customer, one.survivor) for one in listed.merged_customers] == [
        ("customers/w2", "customers/w1")
    ]


async def test_a_merge_is_undone_by_who_approved_it_within_the_days_and_the_last_first(stub, bank, head, manager):
    first = await done(stub, bank, manager, head("b1"))
    undo = about(pb.UndoMergeRequest, first, reason="two")
    assert (await refused(stub.UndoMerge(undo, metadata=head("b2"))))[0] == "NOT_FOUND"
    assert (await refused(stub.UndoMerge(undo, metadata=head("north"))))[0] == "NOT_APPROVER"
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE merges SET done_time = done_time - interval '30 days'"))
    assert (await refused(stub.UndoMerge(undo, metadata=head("b1"))))[0] == "MERGE_UNDO_LATE"
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE merges SET done_time = done_time + interval '1 hour'"))
        await tx.execute(text("UPDATE owners SET branch_id = 'b1' WHERE customer_id = 'w3'"))
    second = await done(stub, bank, manager, head("b1"), "w3")
    reason, given = await refused(stub.UndoMerge(undo, metadata=head("b1")))
    assert (reason, given) == ("MERGE_LATER", {"merge": second})
    await stub.UndoMerge(about(pb.UndoMergeRequest, second, reason="two"), metadata=head("b1"))
    await run_some(bank.database, Peers(answers, answers, answers, answers))
    undone = (await stub.UndoMerge(about(pb.UndoMergeRequest, first, reason="two"), metadata=head("b1"))).merge
    assert undone.state == merge_pb2.Merge.STATE_UNDOING


async def test_a_later_merge_is_named_only_to_who_may_know_of_it(stub, bank, head, manager):
    first = await done(stub, bank, manager, head("b1"))
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE owners SET branch_id = 'b1' WHERE customer_id = 'w3'"))
    second = await done(stub, bank, manager, head("b1"), "w3")
    # As if another branch had taken the survivor over, and made the later merge.
    async with bank.database.begin() as tx:
        for statement in TAKEN_BY_B2:
            named = {"merge": second.removeprefix("merges/")} if ":merge" in statement else {}
            await tx.execute(text(statement), named)
    other = head("b1", "h9")
    assert (await refused(stub.GetMerge(pb.GetMergeRequest(name=second), metadata=other)))[0] == "NOT_FOUND"
    undo = about(pb.UndoMergeRequest, first, reason="two")
    assert await refused(stub.UndoMerge(undo, metadata=other)) == ("MERGE_LATER", {})


async def test_of_two_who_approve_at_once_one_is_too_late(stub, head, manager):
    merge = (await stub.ProposeMerge(proposal(), metadata=manager)).merge
    calls = [
        stub.ApproveMerge(about(pb.ApproveMergeRequest, merge.name), metadata=head("b1", f"h{n}")) for n in range(2)
    ]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    failed = [one for one in ended if isinstance(one, grpc.aio.AioRpcError)]
    assert [reason_of(one)[0] for one in failed] == ["MERGE_STATE"]


async def test_of_two_who_propose_at_once_one_wins(stub, head, manager):
    calls = [
        stub.ProposeMerge(proposal(), metadata=manager),
        stub.ProposeMerge(proposal("w2", "w1"), metadata=head("b1")),
    ]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    failed = [one for one in ended if isinstance(one, grpc.aio.AioRpcError)]
    assert [reason_of(one)[0] for one in failed] == ["MERGE_OPEN"]
