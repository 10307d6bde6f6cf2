"""The servicer of LeaveService."""

from datetime import date

from banyan.assignment.v1 import leave_pb2, leave_service_pb2_grpc
from banyan.assignment.v1 import leave_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_org
from services.assignment_svc.rpc.convert_accounts import leave_from_wire, leave_to_wire
from services.assignment_svc.store.leaves import Wanted
from services.assignment_svc.usecases import leaves


class LeaveServicer(leave_service_pb2_grpc.LeaveServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def CreateLeave(self, request: pb.CreateLeaveRequest, _context: Context) -> leave_pb2.Leave:
        draft = leave_from_wire(request.leave)
        caller, telling = current_caller(), convert_org.telling_of("CreateLeave", "")

        async def work(tx: AsyncConnection) -> leave_pb2.Leave:
            return leave_to_wire(await leaves.create_leave(tx, caller, telling, draft))

        return await once(self._database, Write("CreateLeave", request), leave_pb2.Leave, work)

    async def GetLeave(self, request: pb.GetLeaveRequest, _context: Context) -> leave_pb2.Leave:
        leave_id = names.parse_one("leaves", request.name)
        async with self._database.read() as conn:
            return leave_to_wire(await leaves.get_leave(conn, current_caller(), leave_id))

    async def ListLeaves(self, request: pb.ListLeavesRequest, _context: Context) -> pb.ListLeavesResponse:
        size = paging.page_size(request.page_size)
        wanted = Wanted(
            own_id="",
            branch_ids=None,
            branch_id=names.parse_optional("branches", request.branch, "branch"),
            staff_id=names.parse_optional("staff", request.staff, "staff"),
            from_date=wire.date_from_wire_or_none(request.from_date, "from_date"),
            until_date=wire.date_from_wire_or_none(request.until_date, "until_date"),
            with_cancelled=request.show_cancelled,
        )
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (date.fromisoformat(str(key[0])), str(key[1])) if key else None
        async with self._database.read() as conn:
            found = await leaves.list_leaves(conn, current_caller(), wanted, after, size)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.draft.from_date.isoformat(), last.leave_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListLeavesResponse(leaves=map(leave_to_wire, found[:size]), next_page_token=token)

    async def ApproveLeave(self, request: pb.ApproveLeaveRequest, _context: Context) -> pb.ApproveLeaveResponse:
        leave_id = names.parse_one("leaves", request.name)
        reason = checked_reason(request.reason, least=0)
        caller, telling = current_caller(), convert_org.telling_of("ApproveLeave", reason)

        async def work(tx: AsyncConnection) -> pb.ApproveLeaveResponse:
            approved = await leaves.approve_leave(tx, caller, telling, leave_id)
            return pb.ApproveLeaveResponse(leave=leave_to_wire(approved))

        return await once(self._database, Write("ApproveLeave", request), pb.ApproveLeaveResponse, work)

    async def CancelLeave(self, request: pb.CancelLeaveRequest, _context: Context) -> pb.CancelLeaveResponse:
        leave_id = names.parse_one("leaves", request.name)
        reason = checked_reason(request.reason)
        caller, telling = current_caller(), convert_org.telling_of("CancelLeave", reason)

        async def work(tx: AsyncConnection) -> pb.CancelLeaveResponse:
            return pb.CancelLeaveResponse(leave=leave_to_wire(await leaves.cancel_leave(tx, caller, telling, leave_id)))

        return await once(self._database, Write("CancelLeave", request), pb.CancelLeaveResponse, work)
