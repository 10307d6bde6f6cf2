"""The audit as an auditor asks for it, over the wire."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.customer.v1 import audit_service_pb2 as pb
from banyan.customer.v1 import (
    audit_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
)
from google.longrunning import operations_pb2
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from chassis import clock, wire
from chassis.audit_servicer import VERIFY, AuditServicer, Verifying
from chassis.caller import Role
from chassis.operations import Operations, OperationServicer
from chassis.server import Served
from chassis.sql.audit import AuditEntry, audit, seal
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.rpc.permissions import ALLOWED

# The wheel ships no types for it.
longrunning: Any = operations_pb2

OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name


@pytest.fixture
async def channel(bank, signed_in: SignedIn, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """Five acts: m1 read c10, c20 and c30, m2 read c10, and a job did something to nobody."""
    entries = [AuditEntry("m1", "b1", f"r{number}", "GetCustomer", f"c{number}0") for number in (1, 2, 3)]
    entries += [AuditEntry("m2", "b2", "r4", "SearchCustomers", "c10"), AuditEntry("batch", "", "r5", "Tests")]
    for entry in entries:
        async with bank.database.begin() as tx:
            await audit(tx, [entry])
    operations = Operations(bank.database, "customer", {VERIFY: Verifying(bank.database, pb)})
    services = [
        Served(
            "banyan.customer.v1.AuditService",
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(bank.database, operations, pb, b"s" * 32),
        ),
        Served(
            OPERATION_SERVICE,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationServicer(operations, b"s" * 32),
        ),
    ]
    worker = asyncio.create_task(operations.work())
    async with in_process(app_of(services, ALLOWED, signed_in, "customer.banyan"), tmp_path) as opened:
        yield opened
    worker.cancel()
    await asyncio.wait([worker])


@pytest.fixture
def stub(channel) -> audit_service_pb2_grpc.AuditServiceStub:
    return audit_service_pb2_grpc.AuditServiceStub(channel)


@pytest.fixture
def auditor(signed_in: SignedIn):
    return signed_in.staff(Role.AUDITOR, staff_id="a1", branch_id="b0")


async def found(stub, auditor, **asked) -> list[tuple[str, str, str]]:
    """Who did what to whom, walked page by page."""
    acts: list[tuple[str, str, str]] = []
    request = pb.ListAuditEntriesRequest(page_size=2, **asked)
    while True:
        page = await stub.ListAuditEntries(request, metadata=auditor)
        acts += [(act.caller, act.method, act.customer_id) for act in page.audit_entries]
        if not page.next_page_token:
            return acts
        request.page_token = page.next_page_token


async def test_without_a_case_nobody_is_named(stub, auditor) -> None:
    assert await found(stub, auditor) == [
        ("batch", "Tests", ""),
        ("m2", "SearchCustomers", "c1****"),
        ("m1", "GetCustomer", "c3****"),
        ("m1", "GetCustomer", "c2****"),
        ("m1", "GetCustomer", "c1****"),
    ]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await found(stub, auditor, customer="customers/c10")
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_what_somebody_wrote_of_a_customer_is_told_only_for_a_case(bank, stub, auditor) -> None:
    detail = {"purpose": "OTHER", "reason": "Wang Xiaoming lost his card", "reference": "his letter"}
    async with bank.database.begin() as tx:
        await audit(tx, [AuditEntry("m3", "b3", "r6", "UnmaskContactData", "c10", detail)])

    async def details(case_number: str = "") -> dict[str, str]:
        request = pb.ListAuditEntriesRequest(caller="m3", case_number=case_number)
        return dict((await stub.ListAuditEntries(request, metadata=auditor)).audit_entries[0].details)

    assert await details() == {"purpose": "OTHER"}
    assert await details(case_number="2026/17") == detail


async def test_for_a_case_whoever_read_a_customer_is_told_and_the_search_is_noted(stub, auditor) -> None:
    acts = await found(stub, auditor, customer="customers/c10", case_number="2026/17")
    assert acts == [("m2", "SearchCustomers", "c10"), ("m1", "GetCustomer", "c10")]
    searches = await found(stub, auditor, method="ListAuditEntries", case_number="2026/17")
    assert ("a1", "ListAuditEntries", "c10") in searches
    one = await stub.ListAuditEntries(
        pb.ListAuditEntriesRequest(method="ListAuditEntries", page_size=1), metadata=auditor
    )
    assert one.audit_entries[0].details["case_number"] == "2026/17"


@pytest.mark.parametrize(
    ("asked", "count"),
    [({"caller": "m1"}, 3), ({"method": "SearchCustomers"}, 1), ({"request_id": "r5"}, 1), ({"caller": "m9"}, 0)],
)
async def test_entries_are_found_by_what_is_known_of_them(stub, auditor, asked, count: int) -> None:
    assert len(await found(stub, auditor, **asked)) == count


async def test_entries_are_found_by_their_time(stub, auditor) -> None:
    now = clock.now()
    hour = timedelta(hours=1)
    recent = {"create_time_min": wire.time_to_wire(now - hour), "create_time_max": wire.time_to_wire(now + hour)}
    assert len(await found(stub, auditor, **recent)) == 5
    assert await found(stub, auditor, create_time_min=wire.time_to_wire(now + hour)) == []
    backwards = {"create_time_min": recent["create_time_max"], "create_time_max": recent["create_time_min"]}
    for case in ({}, {"case_number": "1"}):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await found(stub, auditor, **case, **backwards)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_only_auditors_ask(stub, signed_in: SignedIn) -> None:
    for role in (Role.BRANCH_HEAD, Role.ADMIN, Role.ANALYST):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListAuditEntries(pb.ListAuditEntriesRequest(), metadata=signed_in.staff(role))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def verified(channel, stub, auditor) -> pb.VerifyAuditResponse:
    begun = await stub.VerifyAudit(pb.VerifyAuditRequest(request_id=str(uuid.uuid4())), metadata=auditor)
    operations = operation_service_pb2_grpc.OperationServiceStub(channel)
    async with asyncio.timeout(20):
        while not begun.done:
            asked = longrunning.WaitOperationRequest(name=begun.name)
            begun = await operations.WaitOperation(asked, metadata=auditor)
    answer = pb.VerifyAuditResponse()
    assert begun.response.Unpack(answer), begun.error
    return answer


async def test_a_row_that_somebody_changed_past_the_guard_is_found(bank, channel, stub, auditor) -> None:
    assert await seal(bank.database)
    async with bank.database.begin() as tx:
        await audit(tx, [AuditEntry("m3", "b1", "r6", "GetCustomer", "c10")])
    assert await seal(bank.database)
    whole = await verified(channel, stub, auditor)
    assert (whole.seal_count, whole.entry_count, list(whole.broken_seals)) == (2, 6, [])
    async with bank.database.begin() as tx:
        await tx.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE audit SET caller = 'm4' WHERE caller = 'm3'"))
        await tx.execute(text("ALTER TABLE audit ENABLE TRIGGER USER"))
    assert list((await verified(channel, stub, auditor)).broken_seals) == [2]


@pytest.mark.parametrize("table", ["audit", "audit_seal"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_what_was_written_cannot_be_changed(bank, channel, table: str, change: str) -> None:
    del channel
    await seal(bank.database)
    column = "method" if table == "audit" else "hash"
    with pytest.raises(IntegrityError, match="append-only"):
        async with bank.database.begin() as tx:
            await tx.execute(text(change.format(table, column, column)))
