"""assignment_svc's audit as an auditor asks for it, over the wire."""

import grpc
import pytest
from banyan.assignment.v1 import audit_service_pb2 as pb
from banyan.assignment.v1 import audit_service_pb2_grpc
from sqlalchemy import text

from chassis.caller import Role
from chassis.sql.audit import AuditEntry, audit
from chassis.sql.testing import empty


@pytest.fixture
async def stub(database, service) -> audit_service_pb2_grpc.AuditServiceStub:
    async with database.begin() as tx:
        await empty(tx, {"audit", "audit_seal"})
        await audit(tx, [AuditEntry("m1", "north", "r1", "GetOwnership", "c10")])
    return audit_service_pb2_grpc.AuditServiceStub(service.channel)


async def test_whose_ownership_was_read_is_told_only_for_a_case_and_only_to_auditors(database, service, stub) -> None:
    auditor = service.signed_in.staff(Role.AUDITOR, staff_id="a1", branch_id="north")
    seen = await stub.ListAuditEntries(pb.ListAuditEntriesRequest(), metadata=auditor)
    assert [(entry.method, entry.customer_id) for entry in seen.audit_entries] == [("GetOwnership", "c1****")]
    request = pb.ListAuditEntriesRequest(customer="customers/c10", case_number="2026/17")
    seen = await stub.ListAuditEntries(request, metadata=auditor)
    assert [(entry.method, entry.customer_id) for entry in seen.audit_entries] == [("GetOwnership", "c10")]
    async with database.read() as conn:
        noted = await conn.execute(text("SELECT caller, customer_id FROM audit WHERE method = 'ListAuditEntries'"))
        assert [tuple(row) for row in noted] == [("a1", "c10")]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListAuditEntries(request, metadata=service.signed_in.staff(Role.BRANCH_HEAD))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
