import asyncio
import uuid
from typing import Any, cast

import grpc
import pytest
from banyan.customer.v1 import (
    customer_condition_pb2,
    customer_group_pb2,
    customer_group_service_pb2_grpc,
    customer_service_pb2,
    customer_service_pb2_grpc,
    operation_service_pb2_grpc,
)
from banyan.customer.v1 import customer_group_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from google.type.money_pb2 import Money
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role

Group: Any = customer_group_pb2.CustomerGroup
Query: Any = customer_group_pb2.SavedQuery
Condition: Any = customer_condition_pb2.CustomerCondition
Identity: Any = customer_condition_pb2.IdentityCondition
InGroup: Any = customer_condition_pb2.GroupCondition
Deposit: Any = customer_condition_pb2.DepositCondition
TOTAL = Condition(deposit=Deposit(scope=Deposit.SCOPE_TOTAL, balance_min=Money(units=1)))
longrunning: Any = operations_pb2
Status = grpc.StatusCode


class Keeper:
    """Keeps groups as somebody."""

    def __init__(self, channel, metadata) -> None:
        self.stub: Any = customer_group_service_pb2_grpc.CustomerGroupServiceStub(channel)
        self._customers: Any = customer_service_pb2_grpc.CustomerServiceStub(channel)
        self.operations: Any = operation_service_pb2_grpc.OperationServiceStub(channel)
        self.metadata = metadata

    async def call(self, method: str, request) -> Any:
        return await getattr(self.stub, method)(request, metadata=self.metadata)

    async def create(self, *customers: str, request_id: str = "", **fields: Any) -> Any:
        group = Group(**{"display_name": "组", "kind": Group.KIND_QUERY, **fields})
        request = pb.CreateCustomerGroupRequest(
            customer_group=group,
            customers=[f"customers/{customer}" for customer in customers],
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self.call("CreateCustomerGroup", request)

    async def query(self, *conditions: Any, **fields: Any) -> str:
        return (await self.create(query=Query(conditions=conditions), **fields)).customer_group.name

    async def list_of(self, *customers: str, **fields: Any) -> str:
        return (await self.create(*customers, kind=Group.KIND_LIST, **fields)).customer_group.name

    async def get(self, name: str) -> Any:
        return await self.call("GetCustomerGroup", pb.GetCustomerGroupRequest(name=name))

    async def update(self, name: str, *paths: str, **fields: Any) -> Any:
        request = pb.UpdateCustomerGroupRequest(
            customer_group=Group(name=name, **fields),
            update_mask=FieldMask(paths=paths),
            request_id=str(uuid.uuid4()),
        )
        return await self.call("UpdateCustomerGroup", request)

    async def delete(self, name: str, etag: str = "") -> None:
        await self.call("DeleteCustomerGroup", pb.DeleteCustomerGroupRequest(name=name, etag=etag))

    async def start(self, name: str) -> Any:
        return await self.call("BuildCustomerGroup", pb.BuildCustomerGroupRequest(name=name, request_id=new_id()))

    async def finished(self, operation) -> Any:
        while not operation.done:
            request = longrunning.WaitOperationRequest(name=operation.name)
            operation = await self.operations.WaitOperation(request, metadata=self.metadata)
        return operation

    async def build(self, name: str) -> Any:
        ended = await self.finished(await self.start(name))
        assert not ended.HasField("error"), ended.error
        built = Group()
        assert ended.response.Unpack(built)
        return built

    async def stream(self, name: str, token: str = "") -> list[Any]:
        request = pb.StreamGroupRequest(name=name, resume_token=token)
        return [message async for message in self.stub.StreamGroup(request, metadata=self.metadata)]

    async def members(self, name: str) -> list[str]:
        messages = await self.stream(name)
        assert messages[-1].complete
        return [customer.removeprefix("customers/") for message in messages for customer in message.customers]

    async def found(self, *conditions: Any) -> list[str]:
        request = customer_service_pb2.SearchCustomersRequest(conditions=conditions)
        response = await self._customers.SearchCustomers(request, metadata=self.metadata)
        return [customer.name.removeprefix("customers/") for customer in response.customers]


def new_id() -> str:
    return str(uuid.uuid4())


def in_group(*names: str) -> Any:
    return Condition(group=InGroup(any_of=names))


@pytest.fixture
async def keeps(filled, channel, signed_in, hire):
    """`await keeps(Role.BRANCH_HEAD, "b1", "h1")` keeps groups as him; he is known as staff too."""
    del filled

    async def make(role: Role, branch: str = "b1", staff: str = "h1") -> Keeper:
        if role is Role.SERVICE:
            return Keeper(channel, signed_in.service())
        await hire(staff, branch, role)
        return Keeper(channel, signed_in.staff(role, staff_id=staff, branch_id=branch))

    return make


async def refusal(call) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(cast("Any", raised.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code(), info.reason, dict(info.metadata)


@pytest.mark.usefixtures("working")
async def test_a_query_is_built_into_members(keeps) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    name = await head.query(Condition(identity=Identity(display_name_prefix="王")))
    assert not (await head.get(name)).HasField("last_build_time")
    built = await head.build(name)
    assert (built.member_count, built.member_count_text) == (1, "1")
    assert built.least_view_level == 2, "a name is seen from the secondary side on"
    assert await head.members(name) == ["wang"]
    assert await head.found(in_group(name)) == ["wang"]
    assert await head.found(Condition(not_of=in_group(name))) == ["li"]


@pytest.mark.usefixtures("working")
async def test_a_group_tells_nobody_more_than_he_sees(keeps) -> None:
    top = await keeps(Role.BRANCH_HEAD, "north", "top")
    rich = await top.query(TOTAL, sharing=Group.SHARING_BANK)
    everybody = await top.query(sharing=Group.SHARING_BANK)
    await top.build(rich)
    await top.build(everybody)
    for branch, of_rich, of_all in (("b1", ["wang"], ["li", "wang"]), ("b2", [], ["wang"]), ("b9", [], [])):
        head = await keeps(Role.BRANCH_HEAD, branch, f"head-{branch}")
        assert await head.found(in_group(rich)) == of_rich
        assert await head.found(in_group(everybody)) == of_all
        assert not (await head.get(rich)).HasField("member_count")
    teller = await keeps(Role.TELLER, "b1", "teller")
    assert await teller.found() == ["li", "wang"]
    assert await refusal(teller.found(in_group(everybody))) == (
        Status.PERMISSION_DENIED,
        "FIELD_FORBIDDEN",
        {"field": "conditions[0].group"},
    ), "that somebody is in it tells whose he is"


async def test_who_sees_a_group(keeps) -> None:
    top = await keeps(Role.BRANCH_HEAD, "north", "top")
    private = await top.query()
    shared = await top.query(sharing=Group.SHARING_BRANCH, shared_branch="branches/b1")
    for role, branch, staff in ((Role.MANAGER, "b1", "m1"), (Role.BRANCH_HEAD, "b2", "h2")):
        other = await keeps(role, branch, staff)
        assert (await refusal(other.get(private)))[0] is Status.NOT_FOUND
        if branch == "b1":
            assert (await other.get(shared)).owner == "staff/top"
            assert (await refusal(other.update(shared, display_name="mine")))[1] == "GROUP_NOT_YOURS"
            assert (await refusal(other.stream(shared)))[1] == "GROUP_NOT_YOURS"
        else:
            assert (await refusal(other.get(shared)))[0] is Status.NOT_FOUND
            assert (await refusal(other.delete(shared)))[0] is Status.NOT_FOUND
    service = await keeps(Role.SERVICE)
    assert (await service.get(private)).name == private


async def test_sharing_stays_within_ones_own_subtree(keeps) -> None:
    head, manager = await keeps(Role.BRANCH_HEAD, "b1", "h1"), await keeps(Role.MANAGER, "b1", "m1")
    for keeper in (head, manager):
        assert await refusal(keeper.query(sharing=Group.SHARING_BRANCH, shared_branch="branches/b2")) == (
            Status.PERMISSION_DENIED,
            "SHARING_FORBIDDEN",
            {"field": "customer_group.shared_branch"},
        )
        assert (await refusal(keeper.query(sharing=Group.SHARING_BANK)))[1] == "SHARING_FORBIDDEN"
        assert await keeper.query(sharing=Group.SHARING_BRANCH, shared_branch="branches/b1")
    assert await (await keeps(Role.ANALYST, "b1", "a1")).query(sharing=Group.SHARING_BANK)


@pytest.mark.usefixtures("working")
async def test_a_list_names_whom_it_could_not_take(keeps) -> None:
    head = await keeps(Role.BRANCH_HEAD, "b2", "h2")
    created = await head.create("wang", "li", "nobody", "wang", kind=Group.KIND_LIST)
    assert list(created.unknown_indexes) == [1, 2], "li is hidden from b2, and looks like nobody"
    name = created.customer_group.name
    assert await head.members(name) == ["wang"]
    request = pb.RemoveMembersRequest(name=name, customers=["customers/li", "customers/wang"], request_id=new_id())
    removed = await head.call("RemoveMembers", request)
    assert (removed.removed_count, list(removed.unknown_indexes)) == (1, [0])
    assert removed.customer_group.member_count == 0
    back = await head.call(
        "AddMembers", pb.AddMembersRequest(name=name, customers=["customers/wang"], request_id=new_id())
    )
    assert (back.added_count, back.customer_group.member_count) == (1, 1)
    assert await head.found(in_group(name)) == ["wang"]


@pytest.mark.usefixtures("working")
async def test_a_frozen_list_stays_as_it_was(keeps, bank) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    name = await head.query()
    await head.build(name)
    lists = []
    for source in ({"customer_group": name}, {"query": Query(conditions=[in_group(name)])}):
        request = pb.FreezeCustomerGroupRequest(display_name="冻结", request_id=new_id(), **source)
        frozen = Group()
        ended = await head.finished(await head.call("FreezeCustomerGroup", request))
        assert ended.response.Unpack(frozen)
        assert (frozen.kind, frozen.member_count) == (Group.KIND_LIST, 2)
        lists.append(frozen.name)
    await bank.own({"li": []})
    await head.build(name)
    assert await head.members(name) == ["wang"]
    assert await head.members(lists[0]) == ["wang"], "he sees only whom he may see now"
    assert await (await keeps(Role.SERVICE)).members(lists[0]) == ["li", "wang"]
    assert (await refusal(head.start(lists[0])))[1] == "GROUP_KIND_WRONG"


@pytest.mark.usefixtures("working")
async def test_counts_of_an_analyst_are_coarse(keeps) -> None:
    analyst = await keeps(Role.ANALYST, "north", "a1")
    built = await analyst.build(await analyst.query(TOTAL))
    assert (built.member_count, built.member_count_text) == (0, "< 10")
    assert (await refusal(analyst.stream(built.name)))[1] == "GROUP_NOT_YOURS"
    assert (await refusal(analyst.list_of("wang")))[1] == "FIELD_FORBIDDEN"


async def test_groups_are_listed_page_by_page(keeps) -> None:
    head, manager = await keeps(Role.BRANCH_HEAD), await keeps(Role.MANAGER, "b1", "m1")
    for label in "dacb":
        await head.query(display_name=label, sharing=Group.SHARING_BRANCH, shared_branch="branches/b1")
    deleted = await manager.query(display_name="own")
    await manager.delete(deleted)
    kinds = pb.ListCustomerGroupsRequest
    for request, expected in (
        (kinds(), "abcd"),
        (kinds(filter=kinds.FILTER_SHARED, order=kinds.ORDER_UPDATE_TIME), "bcad"),
        (kinds(filter=kinds.FILTER_MINE), ""),
    ):
        found, request.page_size = "", 3
        while True:
            page = await manager.call("ListCustomerGroups", request)
            found += "".join(group.display_name for group in page.customer_groups)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert found == expected
    page = await manager.call("ListCustomerGroups", kinds(filter=kinds.FILTER_MINE, show_deleted=True))
    assert [group.name for group in page.customer_groups] == [deleted]
    stolen = kinds(page_size=1, page_token=request.page_token or "x")
    assert (await refusal(manager.call("ListCustomerGroups", stolen)))[1] == "PAGE_TOKEN_INVALID"


async def test_only_the_fields_of_the_mask_change(keeps) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    name = await head.query(TOTAL, description="old", refresh_nightly=True)
    before = await head.get(name)
    changed = await head.update(name, "display_name", display_name="new", description="ignored")
    assert (changed.display_name, changed.description, changed.refresh_nightly) == ("new", "old", True)
    assert changed.query == before.query
    assert changed.etag != before.etag
    assert (await head.update(name, description="set")).display_name == "new", "without a mask, what is set"
    assert not (await head.update(name, "*", display_name="all")).refresh_nightly
    assert await refusal(head.update(name, "display_name", display_name="late", etag=before.etag)) == (
        Status.ABORTED,
        "ETAG_MISMATCH",
        {},
    )
    for path in ("salary", "kind"):
        assert (await refusal(head.update(name, path)))[1] == "FIELD_INVALID"
    assert (await refusal(head.delete(name, etag=before.etag)))[1] == "ETAG_MISMATCH"


async def test_a_deleted_group_comes_back_unless_others_need_it(keeps, bank) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    inner = await head.list_of("wang")
    outer = await head.query(in_group(inner))
    assert await refusal(head.delete(inner)) == (
        Status.FAILED_PRECONDITION,
        "GROUP_REFERRED_TO",
        {"customer_groups": outer, "hidden_count": "0"},
    )
    await head.delete(outer)
    await head.delete(inner)
    assert (await head.get(inner)).HasField("expire_time")
    for asking in (head.found(in_group(inner)), head.stream(inner), head.query(in_group(inner))):
        assert await refusal(asking) == (Status.FAILED_PRECONDITION, "GROUP_DELETED", {"customer_group": inner})
    back = await head.call("UndeleteCustomerGroup", pb.UndeleteCustomerGroupRequest(name=inner))
    assert not back.customer_group.HasField("delete_time")
    assert await head.found(in_group(inner)) == ["wang"]
    await head.delete(inner)
    async with bank.database.begin() as tx:
        await tx.execute(text("UPDATE customer_groups SET delete_time = bank_now() - interval '31 days'"))
    undelete = head.call("UndeleteCustomerGroup", pb.UndeleteCustomerGroupRequest(name=inner))
    assert (await refusal(undelete))[0] is Status.NOT_FOUND


async def test_two_builds_at_once_are_one_operation(keeps, operations) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    name = await head.query()
    first, second = await asyncio.gather(head.start(name), head.start(name))
    assert first.name == second.name
    request = longrunning.CancelOperationRequest(name=first.name)
    await head.operations.CancelOperation(request, metadata=head.metadata)
    assert (await head.finished(first)).error.code == Status.CANCELLED.value[0]
    assert (await refusal(head.stream(name)))[1] == "GROUP_NOT_BUILT"
    third = await head.start(name)
    assert third.name != first.name
    worker = asyncio.create_task(operations.work())
    assert not (await head.finished(third)).HasField("error")
    worker.cancel()
    await asyncio.wait([worker])


async def test_what_is_wrong_is_named(keeps) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    unbuilt = await head.query()
    wrong = [
        (head.query(display_name="x" * 10_000), "FIELD_INVALID"),
        (head.query(display_name=" "), "FIELD_INVALID"),
        (head.create(kind=Group.KIND_UNSPECIFIED), "FIELD_INVALID"),
        (head.create("wang", query=Query()), "FIELD_INVALID"),
        (head.create(kind=Group.KIND_LIST, query=Query()), "FIELD_INVALID"),
        (head.create(kind=Group.KIND_QUERY), "FIELD_INVALID"),
        (head.query(Condition(identity=Identity(mobile="13812345678"))), "FIELD_INVALID"),
        (head.query(in_group(unbuilt)), "GROUP_NOT_BUILT"),
        (head.query(in_group("customerGroups/none")), "NOT_FOUND"),
        (head.list_of(*["wang"] * 10_001), "MEMBERS_TOO_MANY"),
        (head.list_of("wang/../li"), "FIELD_INVALID"),
        (head.create(query=Query(), request_id="7"), "FIELD_INVALID"),
        (head.stream(unbuilt, "forged"), "PAGE_TOKEN_INVALID"),
    ]
    for call, reason in wrong:
        assert (await refusal(call))[1] == reason
    request = pb.AddMembersRequest(name=unbuilt, customers=["customers/wang"], request_id=new_id())
    assert (await refusal(head.call("AddMembers", request)))[1] == "GROUP_KIND_WRONG"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await head.list_of(*(f"{number:064}" for number in range(150_000)))
    assert raised.value.code() is Status.RESOURCE_EXHAUSTED, "10 MB of ids"


async def test_a_token_is_good_for_its_own_group_only(keeps) -> None:
    head = await keeps(Role.BRANCH_HEAD)
    one, other = await head.list_of("wang", "li"), await head.list_of("wang")
    [message] = await head.stream(one)
    assert (await refusal(head.stream(other, message.resume_token)))[1] == "PAGE_TOKEN_INVALID"
    [rest] = await head.stream(one, message.resume_token)
    assert (list(rest.customers), rest.complete) == ([], True)


async def test_the_same_request_makes_one_group(keeps) -> None:
    head, request_id = await keeps(Role.BRANCH_HEAD), new_id()
    first = await head.create(query=Query(), request_id=request_id)
    assert (await head.create(query=Query(), request_id=request_id)) == first
