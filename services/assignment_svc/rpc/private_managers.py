"""Calls about private managers: once for each request id, and never half."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from banyan.assignment.v1 import ownership_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import Caller, current_caller, current_request_id
from chassis.errors import invalid_field
from chassis.sql.engine import Database
from chassis.sql.idempotency import Asked, answer_given, remember
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.peers.key_marks import IsKeyCustomer
from services.assignment_svc.rpc import convert
from services.assignment_svc.store.ownerships import FEED, Ownership
from services.assignment_svc.usecases import private_managers
from services.assignment_svc.usecases.private_managers import Naming
from services.assignment_svc.usecases.read_ownership import Reader, View

_OWNERSHIP = "customers/*/ownership"
R = TypeVar("R", pb.AssignPrivateManagerResponse, pb.RemovePrivateManagerResponse)
Check = Callable[[AsyncConnection, Caller, str], Awaitable[Ownership]]


class PrivateManagers:
    """What OwnershipService does about private managers."""

    def __init__(self, database: Database, wakeups: Wakeups, is_key_customer: IsKeyCustomer) -> None:
        self._database = database
        self._wakeups = wakeups
        self._is_key_customer = is_key_customer

    async def assign(self, request: pb.AssignPrivateManagerRequest) -> pb.AssignPrivateManagerResponse:
        """Names one. customer_svc is asked before the transaction, which holds locks."""
        (customer_id,) = names.parse(_OWNERSHIP, request.name)
        staff_id = names.parse_one("staff", request.private_manager, "private_manager")
        naming = Naming(customer_id, staff_id, checked_reason(request.reason), request.etag)
        once = _Once(request, private_managers.check_head, pb.AssignPrivateManagerResponse)
        async with self._database.begin() as tx:
            earlier = await once.earlier(tx, customer_id)
        if earlier is not None:
            return earlier
        caller, is_key_customer = current_caller(), await self._is_key_customer(customer_id)

        async def work(tx: AsyncConnection) -> View:
            return await private_managers.assign(tx, caller, naming, is_key_customer=is_key_customer)

        return await self._done(once, customer_id, work)

    async def remove(self, request: pb.RemovePrivateManagerRequest) -> pb.RemovePrivateManagerResponse:
        """Ends one."""
        (customer_id,) = names.parse(_OWNERSHIP, request.name)
        staff_id = names.parse_optional("staff", request.private_manager, "private_manager")
        naming = Naming(customer_id, staff_id, checked_reason(request.reason), request.etag)
        caller = current_caller()
        if not (request.etag or caller.is_service):
            raise invalid_field("etag", "is required")
        once = _Once(request, private_managers.check_remover, pb.RemovePrivateManagerResponse)
        return await self._done(once, customer_id, lambda tx: private_managers.remove(tx, caller, naming))

    async def periods(
        self, request: pb.ListPrivateManagerPeriodsRequest, paging_secret: bytes
    ) -> pb.ListPrivateManagerPeriodsResponse:
        """A page of who was one."""
        size = paging.page_size(request.page_size)
        customer_id = names.parse_one("customers", request.parent, "parent")
        key = paging.decode(request.page_token, request, paging_secret)
        reader = Reader(current_caller(), current_request_id(), "ListPrivateManagerPeriods")
        before = int(key[0] or 0) if key else None
        async with self._database.read() as conn:
            found = await private_managers.list_periods(conn, customer_id, reader, before, size)
        more = len(found) > size
        return pb.ListPrivateManagerPeriodsResponse(
            private_manager_periods=map(convert.private_period_to_wire, found[:size]),
            next_page_token=paging.encode([found[size - 1].period_id], request, paging_secret) if more else "",
        )

    async def _done(self, once: "_Once[R]", customer_id: str, work: Callable[[AsyncConnection], Awaitable[View]]) -> R:
        async def whole(tx: AsyncConnection) -> R:
            earlier = await once.earlier(tx, customer_id)
            return earlier if earlier is not None else await once.first(tx, await work(tx))

        answer = await self._database.repeat(whole)
        await self._wakeups.notify(FEED)
        return answer


class _Once(Generic[R]):
    """One request: what it was answered before, or its first answer.

    Who may not do it (any more) is refused before an earlier answer is given again.
    """

    def __init__(self, request: Any, check: Check, response: type[R]) -> None:  # noqa: ANN401 -- one of two messages
        method = response.DESCRIPTOR.name.removesuffix("Response")
        content: bytes = request.SerializeToString(deterministic=True)
        self._asked = Asked(request.request_id, current_caller().staff_id, method, content)
        self._check = check
        self._response = response

    async def earlier(self, tx: AsyncConnection, customer_id: str) -> R | None:
        await self._check(tx, current_caller(), customer_id)
        given = await answer_given(tx, self._asked)
        return None if given is None else self._response.FromString(given)

    async def first(self, tx: AsyncConnection, view: View) -> R:
        answer = self._response(ownership=convert.view_to_wire(view))
        await remember(tx, self._asked, answer.SerializeToString())
        return answer
