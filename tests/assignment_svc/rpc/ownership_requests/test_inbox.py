"""What waits for whom, by page; delegates who answer in a head's place; merges under way."""

import uuid
from datetime import date

import grpc
import pytest
from banyan.assignment.v1 import delegation_pb2, delegation_service_pb2_grpc
from banyan.assignment.v1 import delegation_service_pb2 as dp
from banyan.assignment.v1 import ownership_request_pb2 as rp
from google.type.date_pb2 import Date

from chassis.sql.merging import Merging, unite
from services.assignment_svc.store.merged_tables import TABLES

R, A, T = rp.OwnershipRequest, rp.Approval, rp.RequestTransition
WRONG = (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
UNFIT = (grpc.StatusCode.FAILED_PRECONDITION, "DELEGATE_UNFIT")
TODAY = Date(year=2026, month=6, day=30)


class Delegating:
    """Names delegates as somebody."""

    def __init__(self, asker) -> None:
        self._stub = delegation_service_pb2_grpc.DelegationServiceStub(asker.bank.service.channel)
        self._metadata = asker.metadata

    async def create(self, delegate: str = "nt", first: Date = TODAY, last: Date = TODAY, reason: str = "leave"):
        asked = delegation_pb2.Delegation(delegate=f"staff/{delegate}", from_date=first, until_date=last, reason=reason)
        request = dp.CreateDelegationRequest(delegation=asked, request_id=str(uuid.uuid4()))
        return await self._stub.CreateDelegation(request, metadata=self._metadata)

    async def end(self, name: str):
        request = dp.EndDelegationRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._stub.EndDelegation(request, metadata=self._metadata)

    async def get(self, name: str):
        return await self._stub.GetDelegation(dp.GetDelegationRequest(name=name), metadata=self._metadata)

    async def list(self, size: int = 0, token: str = ""):
        request = dp.ListDelegationsRequest(page_size=size, page_token=token)
        return await self._stub.ListDelegations(request, metadata=self._metadata)


def day(month: int, number: int, year: int = 2026) -> Date:
    return Date(year=year, month=month, day=number)


async def test_a_delegate_answers_as_the_head_and_sees_no_more_by_it(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    assert (await refusal_of(bank.as_("nt").get(made.name)))[1] == "NOT_FOUND"
    named = await Delegating(bank.as_("nh")).create()
    assert (named.head, named.branch, named.delegate) == ("staff/nh", "branches/north", "staff/nt")
    assert await bank.as_("nt").inbox() == [made.name]
    assert (await refusal_of(bank.as_("nt").page("OF_BRANCH")))[1] == "NOT_FOUND"
    done = await bank.as_("nt").approve(made.name)
    assert done.state == R.STATE_APPROVED
    assert [(one.staff, one.on_behalf_of) for one in done.approvals] == [("staff/nt", "staff/nh")]
    assert (await bank.as_("nt").get(made.name)).state == R.STATE_APPROVED, "who answered goes on seeing it"


async def test_a_delegate_of_the_head_who_asks_does_not_answer_and_neither_does_one_who_asks(bank, refusal_of) -> None:
    await Delegating(bank.as_("nh")).create("nm")
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    assert (await refusal_of(bank.as_("nm").approve(made.name)))[1] == "OWN_REQUEST"
    assert await bank.as_("nm").inbox() == []
    await bank.as_("nm").withdraw(made.name)
    lock = await bank.as_("nh").create("LOCK", end_date=date(2026, 12, 31))
    assert (await refusal_of(bank.as_("nm").approve(lock.name)))[1] == "NOT_FOUND"


async def test_a_delegation_that_was_ended_counts_no_more_and_stays_known(bank, refusal_of) -> None:
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    named = await Delegating(bank.as_("nh")).create()
    assert (await refusal_of(Delegating(bank.as_("sh")).end(named.name)))[1] == "NOT_FOUND"
    ended = await Delegating(bank.as_("rh")).end(named.name)
    assert ended.end_actor == "staff/rh"
    assert await Delegating(bank.as_("nh")).end(named.name) == ended
    assert (await refusal_of(bank.as_("nt").approve(made.name)))[1] == "NOT_FOUND"
    assert (await Delegating(bank.as_("nt")).get(named.name)).end_actor == "staff/rh"
    assert (await Delegating(bank.as_("nh")).create()).name != named.name


@pytest.mark.parametrize(
    ("delegate", "days", "refusal"),
    [
        ("nt", (day(7, 1), day(6, 30)), WRONG),
        ("nt", (day(6, 1), day(6, 29)), WRONG),
        ("nt", (day(7, 1), day(7, 2, 2027)), WRONG),
        ("nt", (day(2, 30), day(7, 2)), WRONG),
        ("sm", (day(7, 1), day(7, 2)), UNFIT),
        ("nh", (day(7, 1), day(7, 2)), UNFIT),
        ("nobody", (day(7, 1), day(7, 2)), UNFIT),
    ],
)
async def test_who_may_not_be_named_or_for_which_days_is_said(bank, refusal_of, delegate, days, refusal) -> None:
    assert (await refusal_of(Delegating(bank.as_("nh")).create(delegate, *days)))[:2] == refusal


async def test_a_head_has_one_delegate_a_day(bank, refusal_of) -> None:
    heads = Delegating(bank.as_("nh"))
    first = await heads.create("nt", day(7, 10), day(7, 20))
    for days in ((day(7, 1), day(7, 10)), (day(7, 20), day(7, 30)), (day(7, 12), day(7, 13)), (day(7, 1), day(8, 1))):
        code, reason, told = await refusal_of(heads.create("nm", *days))
        assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "DELEGATION_OVERLAP")
        assert f"delegations/{told['delegation']}" == first.name
    second = await heads.create("nm", day(7, 21), day(7, 30))
    page = await heads.list(1)
    assert [one.name for one in page.delegations] == [second.name]
    rest = await heads.list(1, page.next_page_token)
    assert ([one.name for one in rest.delegations], rest.next_page_token) == ([first.name], "")
    assert list((await Delegating(bank.as_("sh")).list()).delegations) == []


async def test_an_inbox_is_read_by_page_what_is_due_first_first_and_what_is_decided_last(bank) -> None:
    first = await bank.as_("nm").create("PUSH", "c1", to_manager="staff/nm2")
    second = await bank.as_("nm").create("PUSH", "c2", to_branch="branches/south")
    await bank.run("UPDATE ownership_request SET due_time = due_time - interval '1 d' WHERE customer_id = 'c2'")
    head = bank.as_("nh")
    assert await head.inbox() == [second.name, first.name]
    page = await head.page(page_size=1)
    rest = await head.page(page_size=1, page_token=page.next_page_token)
    assert [one.name for one in (*page.ownership_requests, *rest.ownership_requests)] == [second.name, first.name]
    assert rest.next_page_token == ""
    await head.refuse(second.name)
    assert await head.inbox() == [first.name]
    assert await head.inbox("OF_BRANCH") == await bank.as_("nm").inbox("MADE_BY_ME") == [first.name, second.name]
    assert await head.inbox("OF_BRANCH", state=R.STATE_REFUSED) == [second.name]
    assert await head.inbox("OF_BRANCH", state=R.STATE_PENDING) == [first.name]
    assert await bank.as_("rh").inbox("OF_BRANCH", branch="branches/south") == [second.name]
    assert await bank.as_("sh").inbox("OF_BRANCH") == [second.name]


async def test_an_inbox_of_a_branch_that_one_does_not_lead_does_not_exist(bank, refusal_of) -> None:
    asked = bank.as_("sh").page("OF_BRANCH", branch="branches/north")
    assert (await refusal_of(asked))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    wrong = bank.as_("sh").page(branch="branches/south")
    assert (await refusal_of(wrong))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_every_look_at_a_customers_request_and_every_answer_is_remembered(bank) -> None:
    made = await bank.as_("nm").create("PUSH", to_manager="staff/nm2")
    await bank.as_("nh").get(made.name)
    await bank.as_("nh").inbox()
    await bank.as_("nh").refuse(made.name)
    query = "SELECT method, caller, detail ->> 'request' FROM audit WHERE customer_id = 'c1' AND time >= :since"
    [(since,)] = await bank.rows("SELECT create_time FROM ownership_request")
    request_id = made.name.split("/")[1]
    assert sorted(await bank.rows(f"{query} AND method LIKE '%OwnershipRequest%'", since=since)) == [
        ("CreateOwnershipRequest", "nm", request_id),
        ("GetOwnershipRequest", "nh", None),
        ("ListOwnershipRequests", "nh", None),
        ("RefuseOwnershipRequest", "nh", request_id),
    ]


async def test_of_a_customer_who_is_merged_a_request_lapses_when_it_is_answered(bank) -> None:
    made = await bank.as_("nm").create("PUSH", "c2", to_branch="branches/south")
    other = await bank.as_("nm").create("PUSH", "c1", to_branch="branches/south")
    async with bank.database.begin() as tx:
        await unite(tx, TABLES, Merging("m1", "c1", "c2"))
    await bank.as_("nh").approve(made.name)
    lapsed = await bank.as_("sh").approve(made.name)
    assert (lapsed.state, lapsed.transitions[-1].event) == (R.STATE_REFUSED, T.EVENT_LAPSE)
    await bank.as_("nh").approve(other.name)
    assert (await bank.as_("sh").approve(other.name)).state == R.STATE_APPROVED
    assert [kind for kind, _ in await bank.holds()] == ["PROTECTION"]
