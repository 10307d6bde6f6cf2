import asyncio
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import (
    customer_condition_pb2,
    customer_pb2,
    customer_service_pb2,
    customer_service_pb2_grpc,
)
from google.rpc import error_details_pb2
from google.type.money_pb2 import Money
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from services.customer_svc.domain.customer import Owner

Order = customer_service_pb2.CustomerOrder
Condition = customer_condition_pb2.CustomerCondition
Identity = customer_condition_pb2.IdentityCondition
Deposit = customer_condition_pb2.DepositCondition
TOTAL_CONDITION = Condition(deposit=Deposit(scope=Deposit.SCOPE_TOTAL, balance_min=Money(units=10)))


class Asker:
    """Calls as somebody."""

    def __init__(self, channel, metadata) -> None:
        self._stub = customer_service_pb2_grpc.CustomerServiceStub(channel)
        self._metadata = metadata

    async def get(self, customer: str):
        request = customer_service_pb2.GetCustomerRequest(name=f"customers/{customer}")
        return await self._stub.GetCustomer(request, metadata=self._metadata)

    async def search(self, **fields):
        request = customer_service_pb2.SearchCustomersRequest(**fields)
        return await self._stub.SearchCustomers(request, metadata=self._metadata)

    async def count(self, *conditions):
        request = customer_service_pb2.CountCustomersRequest(conditions=conditions)
        return await self._stub.CountCustomers(request, metadata=self._metadata)

    def watch(self, token: str = ""):
        request = customer_service_pb2.WatchCustomerFactChangesRequest(resume_token=token)
        return self._stub.WatchCustomerFactChanges(request, metadata=self._metadata)


@pytest.fixture
def asks(filled, channel, signed_in):
    del filled

    def make(role: Role, branch: str = "b1", staff: str = "somebody") -> Asker:
        if role is Role.SERVICE:
            return Asker(channel, signed_in.service())
        return Asker(channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


def names(response) -> list[str]:
    return [customer.name for customer in response.customers]


async def refusal(call) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason, dict(info.metadata)


async def test_the_primary_head_sees_everything(asks) -> None:
    wang = await asks(Role.BRANCH_HEAD, "b1").get("wang")
    assert wang.view_level == customer_pb2.VIEW_LEVEL_PRIMARY
    assert not wang.masked_fields
    assert (wang.mobile, wang.id_number) == ("13812345678", "110101199001011234")
    assert wang.state == customer_pb2.Customer.STATE_FROZEN
    assert [owner.branch for owner in wang.owners] == ["branches/b1", "branches/b2"]
    assert wang.total.deposit_balance == Money(currency_code="CNY", units=10, nanos=500_000_000)
    assert wang.total.deposit_average == Money(currency_code="CNY", units=18)
    assert wang.total.loan_outstanding == Money(currency_code="CNY", units=7)
    assert not wang.total.HasField("card_limit"), "one limit is unknown"
    assert (wang.total.account_count, wang.total.loan_count, wang.total.card_count) == (2, 1, 1)
    assert wang.own.branch == "branches/b1"
    assert [account.account for account in wang.own.accounts] == ["a0", "a1"]
    assert [other.branch for other in wang.other_branches] == ["branches/b2"]
    assert wang.other_branches[0].totals.loan_outstanding == Money(currency_code="CNY", units=7)


async def test_related_people_are_shown_with_a_masked_number(asks) -> None:
    wang = await asks(Role.BRANCH_HEAD, "b1").get("wang")
    [person] = wang.related_people
    assert (person.kind, person.display_name, person.mobile) == ("disponent", "赵*", "137****0001")
    assert person.customer == "", "whom the head does not see himself has no link"
    [person] = (await asks(Role.SERVICE).get("wang")).related_people
    assert (person.customer, person.display_name, person.mobile) == ("customers/zhao", "赵六", "137****0001")
    assert person.direction == customer_pb2.RelatedPerson.DIRECTION_PERSON
    [person] = (await asks(Role.SERVICE).get("zhao")).related_people
    assert (person.customer, person.direction) == ("customers/wang", customer_pb2.RelatedPerson.DIRECTION_CUSTOMER)


async def test_a_secondary_head_sees_his_own_branch_only(asks) -> None:
    wang = await asks(Role.BRANCH_HEAD, "b2").get("wang")
    assert wang.view_level == customer_pb2.VIEW_LEVEL_SECONDARY
    masked = {"id_number", "mobile", "other_branches", "owners", "state", "total", "update_time"}
    masked |= {"key_mark", "ownership_periods", "tags", "value"}
    assert set(wang.masked_fields) == masked
    assert not wang.HasField("total")
    assert not wang.other_branches
    assert (wang.mobile, wang.id_number) == ("138****5678", "110*************34")
    assert wang.state == customer_pb2.Customer.STATE_ACTIVE, "a legal freeze is not told"
    assert wang.own.branch == "branches/b2"
    assert [account.account for account in wang.own.accounts] == ["a2"]
    assert [loan.loan for loan in wang.own.loans] == ["l1"]
    primary, own = wang.owners
    assert (primary.branch, primary.manager) == ("branches/b1", "")
    assert own.HasField("since_date")


async def test_the_head_above_both_sees_as_the_primary(asks) -> None:
    wang = await asks(Role.BRANCH_HEAD, "north").get("wang")
    assert wang.view_level == customer_pb2.VIEW_LEVEL_PRIMARY
    assert wang.own.branch == "branches/b1"


async def test_other_staff_of_the_branch_see_that_he_exists(asks) -> None:
    for asker in (asks(Role.TELLER, "b1"), asks(Role.MANAGER, "b1", "m2"), asks(Role.LOBBY, "b2")):
        wang = await asker.get("wang")
        assert wang.view_level == customer_pb2.VIEW_LEVEL_EXISTENCE
        assert {field.name for field, _ in wang.ListFields()} == {"name", "view_level", "masked_fields"}


async def test_hidden_and_absent_get_the_same_answer(asks) -> None:
    other = asks(Role.BRANCH_HEAD, "b9")
    hidden, absent, ownerless = [await refusal(other.get(customer)) for customer in ("wang", "nobody", "zhao")]
    assert hidden == absent == ownerless
    assert hidden[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("role", [Role.MARKETER, Role.ANALYST, Role.ADMIN, Role.AUDITOR])
async def test_who_never_sees_a_customer_may_not_ask(asks, role: Role) -> None:
    code, _, _ = await refusal(asks(role).get("wang"))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    code, _, _ = await refusal(asks(role).search())
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_service_sees_whoever_is_there(asks) -> None:
    zhao = await asks(Role.SERVICE).get("zhao")
    assert zhao.view_level == customer_pb2.VIEW_LEVEL_SERVICE
    assert zhao.mobile == "13700000001"


async def test_when_what_is_followed_is_old_the_source_decides(asks, source) -> None:
    source.owners_of = {"wang": [Owner("b9", "PRIMARY", None, None)]}
    wang = await asks(Role.BRANCH_HEAD, "b9").get("wang")
    assert wang.view_level == customer_pb2.VIEW_LEVEL_PRIMARY
    assert [owner.branch for owner in wang.owners] == ["branches/b9"]
    code, _, _ = await refusal(asks(Role.BRANCH_HEAD, "b1").get("wang"))
    assert code is grpc.StatusCode.NOT_FOUND


async def test_every_read_is_noted_with_reader_and_request(asks, bank) -> None:
    head = asks(Role.BRANCH_HEAD, "b1", "h1")
    await head.get("wang")
    await head.search()
    await refusal(asks(Role.BRANCH_HEAD, "b9", "h9").get("wang"))
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT method, customer_id, caller, branch_id, request_id FROM audit"))
        noted = [tuple(row) for row in rows]
    assert sorted(row[:4] for row in noted) == [
        ("GetCustomer", "wang", "h1", "b1"),
        ("GetCustomer", "zhao", "h1", "b1"),
        ("SearchCustomers", "li", "h1", "b1"),
        ("SearchCustomers", "wang", "h1", "b1"),
    ]
    assert len({row[4] for row in noted}) == 2
    assert all(row[4] for row in noted)


async def test_a_count_by_number_is_noted_as_looking_somebody_up(asks, bank) -> None:
    head = asks(Role.BRANCH_HEAD, "b1", "h1")
    await head.count(Condition(identity=Identity(sex=customer_pb2.SEX_MALE)))
    await head.count(Condition(identity=Identity(mobile="13812345678")))
    async with bank.database.read() as conn:
        rows = await conn.execute(text("SELECT method, customer_id, caller, detail ->> 'fields' FROM audit"))
        assert [tuple(row) for row in rows] == [("CountCustomers", "", "h1", "conditions[0].identity.mobile")]


async def test_search_finds_whom_get_shows(asks) -> None:
    assert names(await asks(Role.BRANCH_HEAD, "b1").search()) == ["customers/li", "customers/wang"]
    assert names(await asks(Role.BRANCH_HEAD, "b2").search()) == ["customers/wang"]
    assert names(await asks(Role.BRANCH_HEAD, "b9").search()) == []
    assert names(await asks(Role.MANAGER, "b1", "m1").search()) == ["customers/li", "customers/wang"]
    assert names(await asks(Role.SERVICE).search()) == ["customers/li", "customers/wang", "customers/zhao"]


async def test_pages_follow_each_other_in_the_order_asked(asks) -> None:
    head = asks(Role.BRANCH_HEAD, "b1")
    order = Order(field=Order.FIELD_DISPLAY_NAME, descending=True)
    first = await head.search(order=order, page_size=1)
    second = await head.search(order=order, page_size=1, page_token=first.next_page_token)
    assert names(first) + names(second) == ["customers/wang", "customers/li"]
    assert second.next_page_token == ""


async def test_a_page_ends_at_two_mebibytes_and_the_next_one_goes_on_there(asks, bank) -> None:
    ids = [f"n{number:02}" for number in range(99)]
    long = dict.fromkeys(("occupation", "residence_district", "id_type"), "榕" * 4000)
    await bank.load("customers", [{"customer_id": one, **long} for one in ids])
    await bank.own({one: [Owner("b9", "PRIMARY", None, None)] for one in ids})
    head = asks(Role.BRANCH_HEAD, "b9")
    order = Order(field=Order.FIELD_CUSTOMER_SINCE, descending=True)
    first = await head.search(order=order, page_size=99)
    assert 2**21 - 40_000 < first.ByteSize() <= 2**21
    second = await head.search(order=order, page_size=99, page_token=first.next_page_token)
    assert second.next_page_token == ""
    assert names(first) + names(second) == [f"customers/{one}" for one in reversed(ids)]


async def test_a_page_token_of_another_request_is_refused(asks) -> None:
    head = asks(Role.BRANCH_HEAD, "b1")
    token = (await head.search(page_size=1)).next_page_token
    for request in ({"order": Order(descending=True), "page_token": token}, {"page_token": "forged"}):
        code, reason, _ = await refusal(head.search(**request))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_totals_confine_to_the_primary_side_and_say_so(asks) -> None:
    confined = await asks(Role.BRANCH_HEAD, "b2").search(conditions=[TOTAL_CONDITION])
    assert names(confined) == []
    assert confined.confined_to == customer_service_pb2.CONFINEMENT_PRIMARY
    assert confined.left_out_count == 1
    counted = await asks(Role.BRANCH_HEAD, "b1").count(TOTAL_CONDITION)
    assert (counted.customer_count, counted.left_out_count) == (1, 0)


async def test_an_exact_number_finds_only_whose_number_is_seen(asks) -> None:
    mobile = Condition(identity=Identity(mobile="13812345678"))
    assert names(await asks(Role.BRANCH_HEAD, "b1").search(conditions=[mobile])) == ["customers/wang"]
    assert names(await asks(Role.BRANCH_HEAD, "b2").search(conditions=[mobile])) == []


async def test_a_forbidden_field_is_refused_before_anything_else(asks) -> None:
    conditions = [Condition(identity=Identity(mobile="1", age_min=9, age_max=1))]
    code, reason, metadata = await refusal(asks(Role.TELLER, "b1").search(conditions=conditions))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "FIELD_FORBIDDEN")
    assert metadata["field"] == "conditions[0].identity.mobile"
    _, reason, _ = await refusal(asks(Role.ANALYST).count(*conditions))
    assert reason == "FIELD_FORBIDDEN"


async def test_an_analyst_counts_without_finding_anybody(asks, bank) -> None:
    few = await asks(Role.ANALYST).count()
    assert (few.customer_count, few.customer_count_text) == (0, "< 10")
    await bank.load("customers", [{"customer_id": f"n{number}"} for number in range(11)])
    await bank.own({f"n{number}": [Owner("b9", "PRIMARY", None, None)] for number in range(11)})
    many = await asks(Role.ANALYST).count()
    assert (many.customer_count, many.customer_count_text) == (15, "15")
    exact = await asks(Role.MARKETER, "north").count()
    assert exact.customer_count_text == "2"


@pytest.mark.parametrize(
    ("conditions", "reason", "metadata"),
    [
        (
            [Condition(identity=Identity(age_min=9, age_max=1))],
            "RANGE_EMPTY",
            {"field": "conditions[0].identity.age_min"},
        ),
        ([Condition(identity=Identity(sex=customer_pb2.SEX_MALE))] * 201, "CONDITIONS_TOO_MANY", {"limit": "200"}),
        ([Condition()], "FIELD_INVALID", {}),
        ([Condition(deposit=Deposit(balance_min=Money(currency_code="EUR")))], "FIELD_INVALID", {}),
    ],
)
async def test_a_bad_condition_is_refused(asks, conditions, reason: str, metadata: dict[str, str]) -> None:
    code, told, dynamic = await refusal(asks(Role.BRANCH_HEAD).search(conditions=conditions))
    assert (code, told) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert dynamic.items() >= metadata.items()


async def test_services_follow_facts_and_hear_of_changes(asks, bank) -> None:
    stream = asks(Role.SERVICE).watch()
    first = await stream.read()
    assert [change.customer for change in first.changes] == ["customers/li", "customers/zhao", "customers/wang"]
    assert first.changes[2].loan_live
    await bank.load("accounts", [{"account_id": "a9", "customer_id": "li", "branch_id": "b1"}])
    async with asyncio.timeout(10):
        while not (page := await stream.read()).changes:
            continue
    [change] = page.changes
    assert (change.customer, [fact.account for fact in change.accounts]) == ("customers/li", ["a9"])
    stream.cancel()


async def test_staff_may_not_follow_facts(asks) -> None:
    code, _, _ = await refusal(asks(Role.BRANCH_HEAD).watch().read())
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_service_finds_whoever_has_the_number_of_an_id_document_with_his_name(asks) -> None:
    by_number = Condition(identity=Identity(id_number="110101199001011234"))
    found = await asks(Role.SERVICE).search(conditions=[by_number], page_size=20)
    assert [(one.name, one.display_name) for one in found.customers] == [("customers/wang", "王小明")]
