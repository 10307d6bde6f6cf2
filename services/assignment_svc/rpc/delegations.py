"""The servicer of DelegationService."""

from datetime import UTC, datetime

from banyan.assignment.v1 import delegation_pb2, delegation_service_pb2_grpc
from banyan.assignment.v1 import delegation_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.rpc.convert_requests import delegation_to_wire
from services.assignment_svc.usecases import delegations
from services.assignment_svc.usecases.delegations import Wanted

_LAST = (datetime.max.replace(tzinfo=UTC), "")


class DelegationServicer(delegation_service_pb2_grpc.DelegationServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def CreateDelegation(
        self, request: pb.CreateDelegationRequest, _context: Context
    ) -> delegation_pb2.Delegation:
        caller, asked = current_caller(), request.delegation
        wanted = Wanted(
            delegate_id=names.parse_one("staff", asked.delegate, "delegation.delegate"),
            from_date=wire.date_from_wire(asked.from_date, "delegation.from_date"),
            until_date=wire.date_from_wire(asked.until_date, "delegation.until_date"),
            reason=asked.reason.strip(),
        )

        async def work(tx: AsyncConnection) -> delegation_pb2.Delegation:
            return delegation_to_wire(await delegations.create(tx, caller, wanted))

        return await once(self._database, Write("CreateDelegation", request), delegation_pb2.Delegation, work)

    async def GetDelegation(self, request: pb.GetDelegationRequest, _context: Context) -> delegation_pb2.Delegation:
        delegation_id = names.parse_one("delegations", request.name)
        async with self._database.read() as conn:
            return delegation_to_wire(await delegations.get(conn, current_caller(), delegation_id))

    async def ListDelegations(
        self, request: pb.ListDelegationsRequest, _context: Context
    ) -> pb.ListDelegationsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else _LAST
        async with self._database.read() as conn:
            found = await delegations.page(conn, current_caller(), before, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = paging.encode([last.create_time.isoformat(), last.delegation_id], request, self._paging_secret)
        return pb.ListDelegationsResponse(delegations=map(delegation_to_wire, found[:size]), next_page_token=token)

    async def EndDelegation(self, request: pb.EndDelegationRequest, _context: Context) -> delegation_pb2.Delegation:
        delegation_id, caller = names.parse_one("delegations", request.name), current_caller()

        async def check(tx: AsyncConnection) -> None:
            await delegations.get(tx, caller, delegation_id)

        async def work(tx: AsyncConnection) -> delegation_pb2.Delegation:
            return delegation_to_wire(await delegations.end(tx, caller, delegation_id))

        return await once(self._database, Write("EndDelegation", request, check), delegation_pb2.Delegation, work)
