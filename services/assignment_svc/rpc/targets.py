"""The servicer of TargetService."""

from datetime import UTC, datetime

from banyan.assignment.v1 import target_pb2, target_service_pb2_grpc
from banyan.assignment.v1 import target_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import Violation, invalid_field, invalid_fields
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.domain.targets import Line
from services.assignment_svc.rpc import convert_scores as convert
from services.assignment_svc.store.targets import Asked
from services.assignment_svc.usecases import targets
from services.assignment_svc.usecases.read_ownership import Reader

TARGETS_MAX = 1_000


class TargetServicer(target_service_pb2_grpc.TargetServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def SetTargets(self, request: pb.SetTargetsRequest, _context: Context) -> pb.SetTargetsResponse:
        lines = _lines(request)
        reader = Reader(current_caller(), current_request_id(), "SetTargets")

        async def work(tx: AsyncConnection) -> pb.SetTargetsResponse:
            stored = await targets.set_targets(tx, lines, reader)
            return pb.SetTargetsResponse(targets=map(convert.target_to_wire, stored))

        return await once(self._database, Write("SetTargets", request), pb.SetTargetsResponse, work)

    async def GetTarget(self, request: pb.GetTargetRequest, _context: Context) -> target_pb2.Target:
        target_id = names.parse_one("targets", request.name)
        async with self._database.read() as conn:
            return convert.target_to_wire(await targets.get_target(conn, target_id, current_caller()))

    async def ListTargets(self, request: pb.ListTargetsRequest, _context: Context) -> pb.ListTargetsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        caller = current_caller()
        asked = Asked(
            branch_id=names.parse_one("branches", request.parent, "parent"),
            viewer_id=caller.staff_id,
            opens_all=False,
            staff_id=names.parse_optional("staff", request.manager, "manager"),
            on_date=wire.date_from_wire_or_none(request.on_date, "on_date"),
        )
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else None
        async with self._database.read() as conn:
            found = await targets.list_targets(conn, asked, caller, before, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.create_time.astimezone(UTC).isoformat(), last.target_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListTargetsResponse(targets=map(convert.target_to_wire, found[:size]), next_page_token=token)


def _lines(request: pb.SetTargetsRequest) -> list[Line]:
    """The lines; refuses with everything that is wrong in any of them before anything is asked of the data."""
    if not 0 < len(request.targets) <= TARGETS_MAX:
        raise invalid_field("targets", f"must have from 1 to {TARGETS_MAX} lines")
    faults: list[Violation] = []
    lines: list[Line] = []
    for place, told in enumerate(request.targets):
        line, wrong = convert.line_from_wire(told, place)
        faults += wrong
        if line is not None:
            lines.append(line)
    if faults:
        raise invalid_fields(faults, "TARGETS_INVALID")
    return lines
