"""The servicer of BulkTransferService, and the long work that it starts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from banyan.assignment.v1 import bulk_transfer_pb2, bulk_transfer_service_pb2_grpc
from banyan.assignment.v1 import bulk_transfer_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.operations import Handler, Operations, Run
from chassis.sql.engine import Database
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.bulk_transfers import BulkTransfer, read_lines
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_requests
from services.assignment_svc.store import bulk_transfers as store
from services.assignment_svc.store.ownerships import FEED
from services.assignment_svc.usecases import bulk_transfers
from services.assignment_svc.usecases.bulk_transfers import Answer, Progress, Result, Sent
from services.assignment_svc.usecases.manual_changes import Who
from services.assignment_svc.usecases.read_ownership import Reader

CREATE = "CreateBulkTransfer"
ANSWER = "AnswerBulkTransfer"
# The wheel ships no types for it.
operations: Any = operations_pb2


class BulkTransferServicer(bulk_transfer_service_pb2_grpc.BulkTransferServiceServicer):
    def __init__(self, database: Database, long_work: Operations, paging_secret: bytes) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret

    async def CreateBulkTransfer(self, request: pb.CreateBulkTransferRequest, _context: Context) -> Message:
        read_lines(request.content)
        checked_reason(request.reason)
        caller = current_caller()

        async def work(tx: AsyncConnection) -> Message:
            return await self._long_work.start(tx, CREATE, request, caller.staff_id, request.request_id)

        return await once(self._database, Write(CREATE, request), operations.Operation, work)

    async def AnswerBulkTransfer(self, request: pb.AnswerBulkTransferRequest, _context: Context) -> Message:
        bulk_transfer_id, caller = names.parse_one("bulkTransfers", request.name), current_caller()
        what = _answer(request)
        checked_reason(request.reason, least=1 if what is Answer.REFUSE else 0)

        async def work(tx: AsyncConnection) -> Message:
            await bulk_transfers.check_answers(tx, caller, bulk_transfer_id, what)
            return await self._long_work.start(tx, ANSWER, request, caller.staff_id, request.request_id)

        return await once(self._database, Write(ANSWER, request), operations.Operation, work)

    async def GetBulkTransfer(
        self, request: pb.GetBulkTransferRequest, _context: Context
    ) -> bulk_transfer_pb2.BulkTransfer:
        bulk_transfer_id = names.parse_one("bulkTransfers", request.name)
        async with self._database.read() as conn:
            return _to_wire(await bulk_transfers.must_see(conn, current_caller(), bulk_transfer_id))

    async def ListBulkTransfers(
        self, request: pb.ListBulkTransfersRequest, _context: Context
    ) -> pb.ListBulkTransfersResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else None
        async with self._database.read() as conn:
            found = await store.made_by(conn, current_caller().staff_id, before, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.create_time.astimezone(UTC).isoformat(), last.bulk_transfer_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListBulkTransfersResponse(bulk_transfers=map(_to_wire, found[:size]), next_page_token=token)

    async def ListBulkTransferRequests(
        self, request: pb.ListBulkTransferRequestsRequest, _context: Context
    ) -> pb.ListBulkTransferRequestsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        bulk_transfer_id = names.parse_one("bulkTransfers", request.parent, "parent")
        reader = Reader(current_caller(), current_request_id(), "ListBulkTransferRequests")
        async with self._database.read() as conn:
            views, last = await bulk_transfers.list_requests(
                conn, reader, bulk_transfer_id, int(key[0] or 0) if key else 0, size
            )
        token = paging.encode([last], request, self._paging_secret) if last is not None else ""
        return pb.ListBulkTransferRequestsResponse(
            ownership_requests=map(convert_requests.request_to_wire, views), next_page_token=token
        )


def bulk_work(database: Database, wakeups: Wakeups) -> Mapping[str, Handler]:
    """The handlers of the operations."""

    def telling(run: Run) -> Progress:
        async def tell(done: int, total: int) -> bool:
            await run.progress(pb.BulkTransferMetadata(done_count=done, total_count=total))
            return not run.cancelled()

        return tell

    async def create(run: Run) -> pb.BulkTransferResult:
        request = run.request
        assert isinstance(request, pb.CreateBulkTransferRequest)
        lines, faults = read_lines(request.content)
        if faults:
            return _result(Result(None, len(lines), faults))
        sent = Sent(run.operation_id, lines, request.reason.strip(), request.validate_only)
        result = await bulk_transfers.transfer(database, _who(run, CREATE), sent, telling(run))
        await wakeups.notify(FEED)
        return _result(result)

    async def answer(run: Run) -> pb.BulkTransferResult:
        request = run.request
        assert isinstance(request, pb.AnswerBulkTransferRequest)
        bulk_transfer_id = names.parse_one("bulkTransfers", request.name)
        said = _answer(request), request.reason.strip()
        result = await bulk_transfers.answer(database, _who(run, ANSWER), bulk_transfer_id, said, telling(run))
        await wakeups.notify(FEED)
        return _result(result)

    return {CREATE: create, ANSWER: answer}


def _who(run: Run, method: str) -> Who:
    return Who(run.caller_id, "", run.operation_id, method)


def _answer(request: pb.AnswerBulkTransferRequest) -> Answer:
    name = pb.AnswerBulkTransferRequest.Answer.Name(request.answer).removeprefix("ANSWER_")
    if name not in Answer.__members__:
        raise invalid_field("answer", "is required")
    return Answer(name)


def _result(result: Result) -> pb.BulkTransferResult:
    return pb.BulkTransferResult(
        bulk_transfer=None if result.transfer is None else _to_wire(result.transfer),
        line_count=result.lines,
        faults=[
            bulk_transfer_pb2.LineFault(
                line=fault.number, field=fault.field, reason=fault.reason, message=fault.message
            )
            for fault in result.faults
        ],
    )


def _to_wire(transfer: BulkTransfer) -> bulk_transfer_pb2.BulkTransfer:
    return bulk_transfer_pb2.BulkTransfer(
        name=names.make("bulkTransfers", transfer.bulk_transfer_id),
        reason=transfer.reason,
        creator=names.make("staff", transfer.creator),
        create_time=wire.time_to_wire(transfer.create_time),
        line_count=transfer.lines,
        pending_count=transfer.pending,
        approved_count=transfer.approved,
        refused_count=transfer.refused,
    )
