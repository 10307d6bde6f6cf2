"""The servicer of OwnershipRequestService: each write once for each request id, and never half."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from banyan.assignment.v1 import ownership_request_pb2, ownership_request_service_pb2_grpc
from banyan.assignment.v1 import ownership_request_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller, current_request_id
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.sql.idempotency import Asked, answer_given
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.domain.requests import Kind
from services.assignment_svc.peers.customers import FindCustomer
from services.assignment_svc.peers.tasks import OpenTask
from services.assignment_svc.rpc import convert_requests as convert
from services.assignment_svc.store.ownerships import FEED
from services.assignment_svc.usecases import approvals, requests
from services.assignment_svc.usecases.approvals import Given
from services.assignment_svc.usecases.manual_changes import Who
from services.assignment_svc.usecases.pulls import masked
from services.assignment_svc.usecases.read_ownership import Reader
from services.assignment_svc.usecases.request_plans import Wish
from services.assignment_svc.usecases.request_views import View
from services.assignment_svc.usecases.requests import Inbox

_Request = ownership_request_pb2.OwnershipRequest
_Inbox = pb.ListOwnershipRequestsRequest
Work = Callable[[AsyncConnection], Awaitable[View]]


class OwnershipRequestServicer(ownership_request_service_pb2_grpc.OwnershipRequestServiceServicer):
    """Other services are asked before a transaction begins, which holds locks."""

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        paging_secret: bytes,
        find_customer: FindCustomer,
        open_task: OpenTask,
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._paging_secret = paging_secret
        self._find_customer = find_customer
        self._open_task = open_task

    async def CreateOwnershipRequest(self, request: pb.CreateOwnershipRequestRequest, _context: Context) -> _Request:
        caller, asked = current_caller(), request.ownership_request
        wish = convert.wish_from_wire(asked, caller.branch_id, request.ownership_etag)
        id_number = asked.id_number.strip()
        # The number itself leaves no trace, not even a hash of it.
        asked.id_number = masked(id_number)
        write = Write("CreateOwnershipRequest", request)
        async with self._database.begin() as tx:
            content = request.SerializeToString(deterministic=True)
            earlier = await answer_given(tx, Asked(request.request_id, caller.staff_id, write.method, content))
        if earlier is not None:
            return _Request.FromString(earlier)
        if wish.kind is Kind.PULL:
            wish = replace(wish, customer_id=await self._find_customer(wish.display_name, id_number) or "")
            wish = replace(wish, masked_id_number=asked.id_number)
        elif wish.kind is Kind.RECLAIM:
            wish = await self._with_tasks(wish)
        return await self._done(write, lambda tx: requests.create(tx, caller, _who(write.method), wish))

    async def GetOwnershipRequest(self, request: pb.GetOwnershipRequestRequest, _context: Context) -> _Request:
        request_id = names.parse_one("ownershipRequests", request.name)
        async with self._database.read() as conn:
            view = await requests.get_request(conn, _reader("GetOwnershipRequest"), request_id)
        return convert.request_to_wire(view)

    async def ListOwnershipRequests(
        self, request: pb.ListOwnershipRequestsRequest, _context: Context
    ) -> pb.ListOwnershipRequestsResponse:
        size = paging.page_size(request.page_size)
        after = convert.place_from_key(paging.decode(request.page_token, request, self._paging_secret))
        async with self._database.read() as conn:
            reader = _reader("ListOwnershipRequests")
            views, place = await requests.list_requests(conn, reader, _inbox(request), after, size)
        token = paging.encode(convert.place_to_key(place), request, self._paging_secret) if place else ""
        return pb.ListOwnershipRequestsResponse(
            ownership_requests=map(convert.request_to_wire, views), next_page_token=token
        )

    async def ApproveOwnershipRequest(self, request: pb.ApproveOwnershipRequestRequest, _context: Context) -> _Request:
        given = Given(
            names.parse_one("ownershipRequests", request.name),
            checked_reason(request.reason, least=0),
            request.etag,
            names.parse_optional("staff", request.to_manager, "to_manager"),
        )
        return await self._answered("ApproveOwnershipRequest", request, given, approvals.approve)

    async def RefuseOwnershipRequest(self, request: pb.RefuseOwnershipRequestRequest, _context: Context) -> _Request:
        request_id = names.parse_one("ownershipRequests", request.name)
        given = Given(request_id, checked_reason(request.reason), request.etag)
        return await self._answered("RefuseOwnershipRequest", request, given, approvals.refuse)

    async def WithdrawOwnershipRequest(
        self, request: pb.WithdrawOwnershipRequestRequest, _context: Context
    ) -> _Request:
        request_id = names.parse_one("ownershipRequests", request.name)
        given = Given(request_id, checked_reason(request.reason, least=0), request.etag)
        return await self._answered("WithdrawOwnershipRequest", request, given, approvals.withdraw)

    async def _answered(
        self,
        method: str,
        request: object,
        given: Given,
        answer: Callable[..., Awaitable[View]],
    ) -> _Request:
        caller = current_caller()
        write = Write(method, request, lambda tx: approvals.check_seen(tx, caller, given.request_id))
        return await self._done(write, lambda tx: answer(tx, caller, _who(method), given))

    async def _done(self, write: Write, work: Work) -> _Request:
        async def answered(tx: AsyncConnection) -> _Request:
            return convert.request_to_wire(await work(tx))

        answer = await once(self._database, write, _Request, answered)
        await self._wakeups.notify(FEED)
        return answer

    async def _with_tasks(self, wish: Wish) -> Wish:
        """Whose tasks stand in the way of a reclaim, and one of them if there is one."""
        caller = current_caller()
        async with self._database.read() as conn:
            ownership = await requests.check_seen(conn, caller, wish.customer_id)
        rows = (row for row in ownership.owners if row.branch_id == caller.branch_id)
        manager_id = next((row.manager_id for row in rows), None)
        task = await self._open_task(wish.customer_id, manager_id) if manager_id else None
        return replace(wish, open_task=task, seen_manager_id=manager_id)


def _inbox(request: pb.ListOwnershipRequestsRequest) -> Inbox:
    state = convert.state_from_wire(request.state)
    branch_id = names.parse_optional("branches", request.branch, "branch")
    if request.inbox == _Inbox.INBOX_OF_BRANCH:
        return Inbox(state, branch_id=branch_id or current_caller().branch_id)
    if branch_id is not None:
        raise invalid_field("branch", "is for the inbox OF_BRANCH only")
    return Inbox(state, made=request.inbox == _Inbox.INBOX_MADE_BY_ME)


def _who(method: str) -> Who:
    caller = current_caller()
    return Who(caller.staff_id, caller.branch_id, current_request_id(), method)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)
