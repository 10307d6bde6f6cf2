"""The servicer of OwnershipChangeService: each write once for each request id, and never half."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from banyan.assignment.v1 import ownership_change_pb2, ownership_change_service_pb2_grpc
from banyan.assignment.v1 import ownership_change_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller, current_request_id
from chassis.errors import not_found
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_changes as convert
from services.assignment_svc.store.ownerships import FEED
from services.assignment_svc.usecases import change_history, claims, manager_loads, name_managers
from services.assignment_svc.usecases.claims import TagsOf
from services.assignment_svc.usecases.manual_changes import Changed, Who
from services.assignment_svc.usecases.name_managers import Asked
from services.assignment_svc.usecases.read_ownership import Reader, scope_of_caller, view_of

_OWNERSHIP = "customers/*/ownership"
_CHANGE = "customers/*/manualChanges/*"

R = TypeVar(
    "R",
    pb.AssignManagerResponse,
    pb.ClaimCustomerResponse,
    pb.ReleaseCustomerResponse,
    pb.UndoManualChangeResponse,
)


class OwnershipChangeServicer(ownership_change_service_pb2_grpc.OwnershipChangeServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups, tags_of: TagsOf, paging_secret: bytes) -> None:
        self._database = database
        self._wakeups = wakeups
        self._tags_of = tags_of
        self._paging_secret = paging_secret

    async def AssignManager(self, request: pb.AssignManagerRequest, _context: Context) -> pb.AssignManagerResponse:
        asked = _asked(request)
        staff_id = names.parse_optional("staff", request.manager, "manager")
        caller = current_caller()
        write = Write("AssignManager", request, lambda tx: name_managers.check_visible(tx, caller, asked.customer_id))

        async def work(tx: AsyncConnection) -> Changed:
            return await name_managers.assign(tx, caller, _who("AssignManager"), asked, staff_id)

        return await self._done(write, pb.AssignManagerResponse, work)

    async def ClaimCustomer(self, request: pb.ClaimCustomerRequest, _context: Context) -> pb.ClaimCustomerResponse:
        (customer_id,) = names.parse(_OWNERSHIP, request.name)
        reason = checked_reason(request.reason)
        caller = current_caller()
        write = Write("ClaimCustomer", request, lambda tx: claims.check_own_row(tx, caller, customer_id))

        async def work(tx: AsyncConnection) -> Changed:
            return await claims.claim(tx, caller, _who("ClaimCustomer"), customer_id, reason)

        return await self._done(write, pb.ClaimCustomerResponse, work)

    async def ReleaseCustomer(
        self, request: pb.ReleaseCustomerRequest, _context: Context
    ) -> pb.ReleaseCustomerResponse:
        asked = _asked(request)
        caller = current_caller()
        write = Write("ReleaseCustomer", request, lambda tx: name_managers.check_exists(tx, caller, asked.customer_id))

        async def work(tx: AsyncConnection) -> Changed:
            return await name_managers.release(tx, caller, _who("ReleaseCustomer"), asked)

        return await self._done(write, pb.ReleaseCustomerResponse, work)

    async def ListClaimableCustomers(
        self, request: pb.ListClaimableCustomersRequest, _context: Context
    ) -> pb.ListClaimableCustomersResponse:
        size = paging.page_size(request.page_size)
        if names.parse_one("branches", request.parent, "parent") != current_caller().branch_id:
            raise not_found()
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (int(key[0] or 0), int(key[1] or 0), str(key[2])) if key else None
        async with self._database.read() as conn:
            page, more, told = await claims.list_claimable(
                conn, _reader("ListClaimableCustomers"), self._tags_of, after, size
            )
        return pb.ListClaimableCustomersResponse(
            claimable_customers=map(convert.offered_to_wire, page),
            next_page_token=paging.encode(page[-1].place, request, self._paging_secret) if more else "",
            tags_missing=not told,
        )

    async def GetManualChange(
        self, request: pb.GetManualChangeRequest, _context: Context
    ) -> ownership_change_pb2.ManualChange:
        customer_id, change_id = names.parse(_CHANGE, request.name)
        async with self._database.read() as conn:
            kept = await change_history.get_change(conn, customer_id, change_id, _reader("GetManualChange"))
        return convert.change_to_wire(kept)

    async def ListManualChanges(
        self, request: pb.ListManualChangesRequest, _context: Context
    ) -> pb.ListManualChangesResponse:
        size = paging.page_size(request.page_size)
        customer_id = names.parse_one("customers", request.parent, "parent")
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else None
        async with self._database.read() as conn:
            page, more = await change_history.list_changes(conn, customer_id, _reader("ListManualChanges"), after, size)
        token = ""
        if more:
            moment = page[-1].create_time.astimezone(UTC).isoformat()
            token = paging.encode([moment, page[-1].change.change_id], request, self._paging_secret)
        return pb.ListManualChangesResponse(manual_changes=map(convert.change_to_wire, page), next_page_token=token)

    async def UndoManualChange(
        self, request: pb.UndoManualChangeRequest, _context: Context
    ) -> pb.UndoManualChangeResponse:
        customer_id, change_id = names.parse(_CHANGE, request.name)
        reason = checked_reason(request.reason)
        caller = current_caller()
        check = change_history.check_sees_change
        write = Write("UndoManualChange", request, lambda tx: check(tx, caller, customer_id, change_id))

        async def work(tx: AsyncConnection) -> Changed:
            named = (customer_id, change_id)
            return await change_history.undo(tx, caller, _who("UndoManualChange"), named, reason)

        return await self._done(write, pb.UndoManualChangeResponse, work)

    async def ListManagerLoads(
        self, request: pb.ListManagerLoadsRequest, _context: Context
    ) -> pb.ListManagerLoadsResponse:
        size = paging.page_size(request.page_size)
        branch_id = names.parse_one("branches", request.parent, "parent")
        asked = manager_loads.Asked(branch_id, request.over_capacity)
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (int(key[0] or 0), str(key[1])) if key else None
        async with self._database.read() as conn:
            page, most, more = await manager_loads.list_loads(conn, current_caller(), asked, after, size)
        token = paging.encode([page[-1].total, page[-1].staff_id], request, self._paging_secret) if more else ""
        return pb.ListManagerLoadsResponse(
            manager_loads=[convert.load_to_wire(load, most) for load in page], next_page_token=token
        )

    async def _done(self, write: Write, response: type[R], work: Callable[[AsyncConnection], Awaitable[Changed]]) -> R:
        """What the caller sees of the customer after it, who may be less than before."""

        async def whole(tx: AsyncConnection) -> R:
            changed = await work(tx)
            view = view_of(changed.ownership, await scope_of_caller(tx, current_caller()))
            return response(
                ownership=convert.view_or_name(changed.ownership.customer_id, view),
                manual_change=convert.change_name(changed.ownership.customer_id, changed.change_id),
            )

        answer = await once(self._database, write, response, whole)
        await self._wakeups.notify(FEED)
        return answer


def _asked(request: pb.AssignManagerRequest | pb.ReleaseCustomerRequest) -> Asked:
    (customer_id,) = names.parse(_OWNERSHIP, request.name)
    branch_id = names.parse_optional("branches", request.branch, "branch") or current_caller().branch_id
    return Asked(customer_id, branch_id, checked_reason(request.reason), request.etag)


def _who(method: str) -> Who:
    caller = current_caller()
    return Who(caller.staff_id, caller.branch_id, current_request_id(), method)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)
