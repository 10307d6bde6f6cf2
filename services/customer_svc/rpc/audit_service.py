"""The servicer of AuditService, and the operation that verifies the audit."""

from datetime import datetime
from typing import Any

from banyan.customer.v1 import audit_service_pb2 as pb
from banyan.customer.v1 import audit_service_pb2_grpc
from google.protobuf.message import Message

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.operations import Operations, Run
from chassis.sql.audit import verify
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.audit_entries import AuditedAct
from services.customer_svc.rpc import convert
from services.customer_svc.store.audit_log import Wanted
from services.customer_svc.usecases.search_audit import search_audit

VERIFY = "verify_audit"
BROKEN_TOLD_MAX = 1_000


class Verifying:
    """The handler of VerifyAudit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, run: Run) -> Message:
        async def tell(done: int, total: int) -> bool:
            await run.progress(pb.VerifyAuditMetadata(done_count=done, total_count=total))
            return not run.cancelled()

        found = await verify(self._database, tell)
        return pb.VerifyAuditResponse(
            seal_count=found.seal_count,
            entry_count=found.entry_count,
            broken_seals=list(found.broken)[:BROKEN_TOLD_MAX],
        )


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, database: Database, operations: Operations, paging_secret: bytes) -> None:
        self._database = database
        self._operations = operations
        self._paging_secret = paging_secret

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, _context: Context
    ) -> pb.ListAuditEntriesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = None if key is None else (datetime.fromisoformat(str(key[0])), int(str(key[1])))
        reading = convert.reading_of(current_caller(), "ListAuditEntries")
        case_number = request.case_number.strip() or None
        async with self._database.begin() as tx:
            found = await search_audit(tx, _wanted(request), case_number, reading, (before, size + 1))
        shown = paging.cut([_to_wire(act) for act in found[:size]])
        token = ""
        if len(found) > len(shown):
            last = found[len(shown) - 1]
            token = paging.encode([last.create_time.isoformat(), last.ordinal], request, self._paging_secret)
        return pb.ListAuditEntriesResponse(audit_entries=shown, next_page_token=token)

    async def VerifyAudit(self, request: pb.VerifyAuditRequest, _context: Context) -> Any:  # noqa: ANN401 -- google.longrunning.Operation, which has no types
        caller = current_caller()
        async with self._database.begin() as tx:
            return await self._operations.start(tx, VERIFY, request, caller.staff_id, request.request_id)


def _wanted(request: pb.ListAuditEntriesRequest) -> Wanted:
    earliest, latest = "create_time_min", "create_time_max"
    return Wanted(
        caller=request.caller or None,
        customer_id=names.parse_optional("customers", request.customer, "customer"),
        method=request.method or None,
        request_id=request.request_id or None,
        time_min=wire.time_from_wire(request.create_time_min, earliest) if request.HasField(earliest) else None,
        time_max=wire.time_from_wire(request.create_time_max, latest) if request.HasField(latest) else None,
    )


def _to_wire(act: AuditedAct) -> pb.AuditEntry:
    return pb.AuditEntry(
        create_time=wire.time_to_wire(act.create_time),
        caller=act.caller,
        branch=names.make("branches", act.branch_id or None),
        request_id=act.request_id,
        method=act.method,
        customer_id=act.customer_id,
        details=act.details,
    )
