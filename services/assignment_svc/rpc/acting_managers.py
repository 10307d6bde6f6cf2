"""The servicer of ActingManagerService."""

from datetime import date

from banyan.assignment.v1 import acting_manager_pb2, acting_manager_service_pb2_grpc, staff_pb2
from banyan.assignment.v1 import acting_manager_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.acting import Arranged
from services.assignment_svc.rpc.convert import acting_manager_to_wire
from services.assignment_svc.store import org
from services.assignment_svc.store.acting_managers import Listed
from services.assignment_svc.usecases import acting_managers

_PATTERN = "branches/*/actingManagers/*"


class ActingManagerServicer(acting_manager_service_pb2_grpc.ActingManagerServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups, paging_secret: bytes) -> None:
        self._database = database
        self._wakeups = wakeups
        self._paging_secret = paging_secret

    async def CreateActingManager(
        self, request: pb.CreateActingManagerRequest, _context: Context
    ) -> acting_manager_pb2.ActingManager:
        caller, arranged = current_caller(), _arranged(request)

        async def check(tx: AsyncConnection) -> None:
            await acting_managers.check_arranger(tx, caller, arranged.branch_id)

        async def work(tx: AsyncConnection) -> acting_manager_pb2.ActingManager:
            return acting_manager_to_wire(await acting_managers.arrange(tx, caller, arranged))

        write = Write("CreateActingManager", request, check)
        return await self._told(await once(self._database, write, acting_manager_pb2.ActingManager, work))

    async def EndActingManager(
        self, request: pb.EndActingManagerRequest, _context: Context
    ) -> acting_manager_pb2.ActingManager:
        branch_id, acting_manager_id = names.parse(_PATTERN, request.name)
        caller, reason = current_caller(), request.reason

        async def check(tx: AsyncConnection) -> None:
            await acting_managers.check_arranger(tx, caller, branch_id)

        async def work(tx: AsyncConnection) -> acting_manager_pb2.ActingManager:
            return acting_manager_to_wire(await acting_managers.end(tx, caller, branch_id, acting_manager_id, reason))

        write = Write("EndActingManager", request, check)
        return await self._told(await once(self._database, write, acting_manager_pb2.ActingManager, work))

    async def ListActingManagers(
        self, request: pb.ListActingManagersRequest, _context: Context
    ) -> pb.ListActingManagersResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (date.fromisoformat(str(key[0])), str(key[1])) if key else None
        wanted = Listed(names.parse_one("branches", request.parent, "parent"), request.current, after)
        async with self._database.read() as conn:
            found = await acting_managers.listed(conn, current_caller(), wanted, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.arranged.from_date.isoformat(), last.acting_manager_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListActingManagersResponse(
            acting_managers=map(acting_manager_to_wire, found[:size]), next_page_token=token
        )

    async def _told(self, answer: acting_manager_pb2.ActingManager) -> acting_manager_pb2.ActingManager:
        await self._wakeups.notify(org.FEED)
        return answer


def _arranged(request: pb.CreateActingManagerRequest) -> Arranged:
    asked = request.acting_manager
    return Arranged(
        branch_id=names.parse_one("branches", request.parent, "parent"),
        acting_id=names.parse_one("staff", asked.acting, "acting_manager.acting"),
        covered_id=names.parse_one("staff", asked.covered, "acting_manager.covered"),
        role=staff_pb2.Role.Name(asked.role).removeprefix("ROLE_"),
        from_date=wire.date_from_wire(asked.from_date, "acting_manager.from_date"),
        until_date=wire.date_from_wire(asked.until_date, "acting_manager.until_date"),
        reason=asked.reason.strip(),
    )
