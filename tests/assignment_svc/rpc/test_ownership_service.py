"""From the feed to the owners, over the wire: import, allocate, read, follow."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any

import grpc
import pyarrow as pa
import pytest
from banyan.assignment.v1 import (
    import_service_pb2,
    import_service_pb2_grpc,
    operation_service_pb2_grpc,
    ownership_pb2,
    ownership_service_pb2_grpc,
)
from banyan.assignment.v1 import ownership_service_pb2 as pb
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2
from google.type.date_pb2 import Date
from grpc_status import rpc_status
from sqlalchemy import text

from chassis.caller import Role
from services.assignment_svc.store.imports import BRANCHES_SCHEMA, FACTS_SCHEMA, STAFF_SCHEMA

NIGHT = date(2024, 3, 1)
SCHEMAS = {"branches": BRANCHES_SCHEMA, "staff": STAFF_SCHEMA, "branch_facts": FACTS_SCHEMA}
# The wheel ships no types for it.
operations_types: Any = operations_pb2


@pytest.fixture
def stub(service) -> ownership_service_pb2_grpc.OwnershipServiceStub:
    return ownership_service_pb2_grpc.OwnershipServiceStub(service.channel)


@pytest.fixture(autouse=True)
async def empty(service) -> None:
    async with service.parts.database.begin() as tx:
        await tx.execute(text("TRUNCATE branch, staff, staff_duty, branch_facts, ownership, owner, owner_period"))
        await tx.execute(
            text(
                "UPDATE allocation_day SET facts_date = NULL, business_date = NULL, policy_version = 0, seen_rev = '0'"
            )
        )


def day(of: date) -> Date:
    return Date(year=of.year, month=of.month, day=of.day)


async def load(service, table: str, *rows: Mapping[str, object], night: date = NIGHT):
    schema = SCHEMAS[table]
    whole = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)

    async def messages() -> AsyncIterator[import_service_pb2.ImportRowsRequest]:
        header = import_service_pb2.ImportHeader(table=table, business_date=day(night))
        yield import_service_pb2.ImportRowsRequest(header=header)
        yield import_service_pb2.ImportRowsRequest(arrow=sink.getvalue().to_pybytes())

    stub = import_service_pb2_grpc.ImportServiceStub(service.channel)
    return await stub.ImportRows(messages(), metadata=service.signed_in.service())


def facts(customer_id: str, branch_id: str, amount: int, **given: object) -> dict[str, object]:
    row = {"customer_id": customer_id, "branch_id": branch_id, "deposit_sum_minor": amount, "customer_state": "ACTIVE"}
    live = {"loan_live": False, "card_live": False, "deposit_live": True, "relation_since_date": date(2020, 1, 1)}
    return {**row, **live, "last_live_date": NIGHT, **given}


async def bank(service) -> None:
    await load(service, "branches", *({"branch_id": b, "display_name": b} for b in ("north", "south")))
    head = {"staff_id": "head", "display_name": "Head", "branch_id": "north", "roles": "BRANCH_HEAD"}
    await load(service, "staff", head)
    await load_facts(service, NIGHT, 9)


async def load_facts(service, night: date, amount: int) -> None:
    """The facts of a night, whole: all as ever, but for what c0 has at south."""
    rows = [facts(f"c{n}", "north", 10) for n in range(3)] + [facts("c0", "south", amount), facts("c9", "south", 1)]
    await load(service, "branch_facts", *rows, night=night)


def request(night: date = NIGHT, request_id: str = "") -> pb.AllocateOwnershipsRequest:
    return pb.AllocateOwnershipsRequest(business_date=day(night), request_id=request_id or str(uuid.uuid4()))


async def allocate(service, stub, night: date = NIGHT) -> pb.AllocateOwnershipsResponse:
    as_service = service.signed_in.service()
    operation = await stub.AllocateOwnerships(request(night), metadata=as_service)
    operations = operation_service_pb2_grpc.OperationServiceStub(service.channel)
    wait = operations_types.WaitOperationRequest(name=operation.name)
    wait.timeout.FromSeconds(20)
    done = await operations.WaitOperation(wait, metadata=as_service, timeout=30)
    assert done.done
    assert not done.HasField("error"), done.error
    response = pb.AllocateOwnershipsResponse()
    assert done.response.Unpack(response)
    told = pb.AllocateOwnershipsMetadata()
    assert done.metadata.Unpack(told)
    assert told.done_count == told.total_count == response.customer_count
    return response


async def refused(call) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return caught.value.code(), info


async def test_a_night_gives_everybody_an_owner_and_the_same_night_again_changes_nothing(service, stub) -> None:
    await bank(service)
    first = await allocate(service, stub)
    assert (first.customer_count, first.changed_customer_count, first.changed_row_count) == (4, 4, 5)
    assert {count.rule: count.customer_count for count in first.rule_counts} == {
        ownership_pb2.ALLOCATION_RULE_DEPOSIT: 4
    }
    again = await allocate(service, stub)
    assert (again.changed_customer_count, again.changed_row_count) == (0, 0)
    assert again.rule_counts == first.rule_counts


async def test_the_head_of_the_primary_branch_reads_owners_evidence_and_history(service, stub) -> None:
    await bank(service)
    await allocate(service, stub)
    night = date(2024, 3, 2)
    await load_facts(service, night, 12)
    assert (await allocate(service, stub, night)).changed_row_count == 2
    head = service.signed_in.staff(Role.BRANCH_HEAD, branch_id="south")
    name = "customers/c0/ownership"
    ownership = await stub.GetOwnership(pb.GetOwnershipRequest(name=name), metadata=head)
    assert [(o.branch, o.side) for o in ownership.owners] == [
        ("branches/south", ownership_pb2.SIDE_PRIMARY),
        ("branches/north", ownership_pb2.SIDE_SECONDARY),
    ]
    evidence = ownership.owners[0].evidence
    assert (evidence.amount_minor, evidence.rival_branch, evidence.rival_amount_minor) == (12, "branches/north", 10)
    assert (ownership.state, ownership.business_date) == (ownership_pb2.Ownership.STATE_LIVE, day(night))
    periods: list[ownership_pb2.OwnershipPeriod] = []
    asked = pb.ListOwnershipPeriodsRequest(parent="customers/c0", page_size=3)
    while True:
        page = await stub.ListOwnershipPeriods(asked, metadata=head)
        periods += page.ownership_periods
        asked.page_token = page.next_page_token
        if not asked.page_token:
            break
    assert [(p.from_date.day, p.until_date.day, p.owner.branch, p.actor) for p in periods] == [
        (2, 0, "branches/south", "allocation"),
        (2, 0, "branches/north", "allocation"),
        (1, 2, "branches/south", "allocation"),
        (1, 2, "branches/north", "allocation"),
    ]


async def test_hidden_and_absent_customers_get_the_same_answer(service, stub) -> None:
    await bank(service)
    await allocate(service, stub)
    head = service.signed_in.staff(Role.BRANCH_HEAD, branch_id="north")
    answers = set()
    for customer_id in ("c9", "nobody"):
        call = stub.GetOwnership(pb.GetOwnershipRequest(name=f"customers/{customer_id}/ownership"), metadata=head)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        answers.add((caught.value.code(), caught.value.details()))
    assert len(answers) == 1


async def test_a_branch_lists_its_customers_page_by_page(service, stub) -> None:
    await bank(service)
    await allocate(service, stub)
    head = service.signed_in.staff(Role.BRANCH_HEAD, branch_id="north")
    asked = pb.ListOwnershipsRequest(parent="branches/north", side=ownership_pb2.SIDE_PRIMARY, page_size=2)
    first = await stub.ListOwnerships(asked, metadata=head)
    assert [o.name for o in first.ownerships] == ["customers/c0/ownership", "customers/c1/ownership"]
    other = pb.ListOwnershipsRequest(parent="branches/north", page_token=first.next_page_token)
    code, info = await refused(stub.ListOwnerships(other, metadata=head))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    asked.page_token = first.next_page_token
    second = await stub.ListOwnerships(asked, metadata=head)
    assert ([o.name for o in second.ownerships], second.next_page_token) == (["customers/c2/ownership"], "")


async def test_nights_run_in_order_and_need_their_facts(service, stub) -> None:
    await bank(service)
    as_service = service.signed_in.service()
    code, info = await refused(stub.AllocateOwnerships(request(date(2024, 3, 2)), metadata=as_service))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FACTS_MISSING")
    assert (info.domain, info.metadata) == ("assignment.banyan", {"business_date": "2024-03-02"})
    await allocate(service, stub)
    code, info = await refused(stub.AllocateOwnerships(request(date(2024, 2, 29)), metadata=as_service))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUSINESS_DATE_PAST")
    assert info.metadata == {"last_business_date": "2024-03-01"}


async def test_a_retry_gets_the_first_operation_even_when_its_night_is_over(service, stub) -> None:
    await bank(service)
    as_service = service.signed_in.service()
    asked = request()
    first = await stub.AllocateOwnerships(asked, metadata=as_service)
    await allocate(service, stub)
    night = date(2024, 3, 2)
    await load_facts(service, night, 12)
    await allocate(service, stub, night)
    assert (await stub.AllocateOwnerships(asked, metadata=as_service)).name == first.name


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (pb.AllocateOwnershipsRequest(business_date=day(NIGHT), request_id="again"), "request_id"),
        (pb.AllocateOwnershipsRequest(business_date=Date(year=2024), request_id=str(uuid.uuid4())), "business_date"),
        (pb.AllocateOwnershipsRequest(request_id=str(uuid.uuid4())), "business_date"),
    ],
)
async def test_a_malformed_allocation_is_invalid(service, stub, wrong, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.AllocateOwnerships(wrong, metadata=service.signed_in.service())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (caught.value.details() or "").startswith(field)


async def test_followers_are_told_each_customer_whole(service, stub) -> None:
    await bank(service)
    as_service = service.signed_in.service()
    told: dict[str, pb.OwnershipChange] = {}
    watch = stub.WatchOwnershipChanges(pb.WatchOwnershipChangesRequest(), metadata=as_service)

    async def follow_until(done) -> None:
        async with asyncio.timeout(10):
            async for message in watch:
                for change in message.changes:
                    sides = [owner.side for owner in change.ownership.owners]
                    assert sides.count(ownership_pb2.SIDE_PRIMARY) == 1
                    told[change.ownership.name] = change
                if done():
                    return

    await allocate(service, stub)
    await follow_until(lambda: len(told) == 4)
    before = told["customers/c0/ownership"].ownership.etag
    night = date(2024, 3, 2)
    await load_facts(service, night, 12)
    await allocate(service, stub, night)
    await follow_until(lambda: told["customers/c0/ownership"].ownership.etag != before)
    assert told["customers/c0/ownership"].ownership.owners[0].branch == "branches/south"
    watch.cancel()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMIN, Role.MARKETER])
async def test_who_sees_no_customers_may_not_ask_for_owners(service, stub, role: Role) -> None:
    call = stub.GetOwnership(
        pb.GetOwnershipRequest(name="customers/c0/ownership"), metadata=service.signed_in.staff(role)
    )
    code, info = await refused(call)
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_FORBIDDEN")


async def test_a_bad_row_is_named_over_the_wire(service) -> None:
    await bank(service)
    code, info = await refused(load(service, "branch_facts", facts("c0", "nowhere", 1)))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REFERENCE_UNKNOWN")
    assert info.metadata["row"] == "0"
    code, info = await refused(load(service, "branches", {"branch_id": "x", "display_name": "x", "parent_id": "x"}))
    assert (code, info.reason, info.metadata["value"]) == (grpc.StatusCode.INVALID_ARGUMENT, "BRANCH_CYCLE", "x")
