"""The servicer of OwnershipService, and the long work that it starts."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2_grpc
from banyan.assignment.v1 import ownership_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.message import Message

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.feed import Publisher
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.sql.idempotency import Asked, answer_given, remember
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.rpc import convert, convert_feed
from services.assignment_svc.rpc.private_managers import PrivateManagers
from services.assignment_svc.store.ownership_feed import ToldOwnership
from services.assignment_svc.store.ownerships import FEED, Listed, Place
from services.assignment_svc.usecases import read_ownership
from services.assignment_svc.usecases.allocate_ownerships import allocate_ownerships
from services.assignment_svc.usecases.nights import check_night

ALLOCATE = "allocate_ownerships"
# The wheel ships no types for it.
operations: Any = operations_pb2


class OwnershipServicer(ownership_service_pb2_grpc.OwnershipServiceServicer):
    def __init__(
        self,
        database: Database,
        changes: Publisher[ToldOwnership],
        long_work: Operations,
        private_managers: PrivateManagers,
        paging_secret: bytes,
    ) -> None:
        self._database = database
        self._changes = changes
        self._long_work = long_work
        self._private_managers = private_managers
        self._paging_secret = paging_secret

    async def GetOwnership(self, request: pb.GetOwnershipRequest, _context: Context) -> ownership_pb2.Ownership:
        (customer_id,) = names.parse("customers/*/ownership", request.name)
        async with self._database.read() as conn:
            view = await read_ownership.get_ownership(conn, customer_id, _reader("GetOwnership"))
        return convert.view_to_wire(view)

    async def ListOwnerships(self, request: pb.ListOwnershipsRequest, _context: Context) -> pb.ListOwnershipsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        listed = Listed(
            branch_id=names.parse_one("branches", request.parent, "parent"),
            side=convert.side_from_wire(request.side),
            manager_id=names.parse_optional("staff", request.manager, "manager"),
            unassigned=request.unassigned,
        )
        async with self._database.read() as conn:
            views, last = await read_ownership.list_ownerships(
                conn, listed, _reader("ListOwnerships"), str(key[0]) if key else "", size
            )
        return pb.ListOwnershipsResponse(
            ownerships=map(convert.view_to_wire, views),
            next_page_token=paging.encode([last], request, self._paging_secret) if last else "",
        )

    async def ListOwnershipPeriods(
        self, request: pb.ListOwnershipPeriodsRequest, _context: Context
    ) -> pb.ListOwnershipPeriodsResponse:
        size = paging.page_size(request.page_size)
        customer_id = names.parse_one("customers", request.parent, "parent")
        start = _place(paging.decode(request.page_token, request, self._paging_secret))
        async with self._database.read() as conn:
            periods, last = await read_ownership.list_periods(
                conn, customer_id, _reader("ListOwnershipPeriods"), start, size
            )
        token = ""
        if last:
            moment = last.create_time.astimezone(UTC).isoformat()
            key = [last.owner.from_date.isoformat(), moment, last.owner.branch_id, last.period_id]
            token = paging.encode(key, request, self._paging_secret)
        return pb.ListOwnershipPeriodsResponse(
            ownership_periods=map(convert.period_to_wire, periods), next_page_token=token
        )

    async def AllocateOwnerships(self, request: pb.AllocateOwnershipsRequest, _context: Context) -> Message:
        day = wire.date_from_wire(request.business_date, "business_date")
        caller = current_caller()
        asked = Asked(request.request_id, caller.staff_id, ALLOCATE, request.SerializeToString(deterministic=True))
        async with self._database.begin() as tx:
            given = await answer_given(tx, asked)
            if given is not None:
                return operations.Operation.FromString(given)
            await check_night(tx, day)
            started = await self._long_work.start(tx, ALLOCATE, request, caller.staff_id, request.request_id)
            await remember(tx, asked, started.SerializeToString())
        return started

    async def AssignPrivateManager(
        self, request: pb.AssignPrivateManagerRequest, _context: Context
    ) -> pb.AssignPrivateManagerResponse:
        return await self._private_managers.assign(request)

    async def RemovePrivateManager(
        self, request: pb.RemovePrivateManagerRequest, _context: Context
    ) -> pb.RemovePrivateManagerResponse:
        return await self._private_managers.remove(request)

    async def ListPrivateManagerPeriods(
        self, request: pb.ListPrivateManagerPeriodsRequest, _context: Context
    ) -> pb.ListPrivateManagerPeriodsResponse:
        return await self._private_managers.periods(request, self._paging_secret)

    async def WatchOwnershipChanges(
        self, request: pb.WatchOwnershipChangesRequest, _context: Context
    ) -> AsyncIterator[pb.WatchOwnershipChangesResponse]:
        async for page in self._changes.watch(request.resume_token):
            for part in page.parts(convert_feed.change_to_wire):
                yield pb.WatchOwnershipChangesResponse(
                    changes=part.items,
                    resume_token=part.resume_token,
                    caught_up=part.caught_up,
                    source_time=wire.time_to_wire(part.source_time),
                )


class Allocating:
    """The handler of the operation: runs the night and tells how far it is."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups

    async def __call__(self, run: Run) -> pb.AllocateOwnershipsResponse:
        request = run.request
        assert isinstance(request, pb.AllocateOwnershipsRequest)
        business_date = request.business_date

        async def tell(done: int, total: int) -> bool:
            await run.progress(
                pb.AllocateOwnershipsMetadata(business_date=business_date, done_count=done, total_count=total)
            )
            await self._wakeups.notify(FEED)
            return not run.cancelled()

        day = wire.date_from_wire(business_date, "business_date")
        report = await allocate_ownerships(self._database, day, tell)
        await self._wakeups.notify(FEED)
        return pb.AllocateOwnershipsResponse(
            customer_count=report.counts.customers,
            changed_customer_count=report.counts.changed_customers,
            changed_row_count=report.counts.changed_rows,
            rule_counts=[
                pb.RuleCount(rule=f"ALLOCATION_RULE_{rule}", customer_count=count)
                for rule, count in report.rule_counts.items()
            ],
        )


def _reader(method: str) -> read_ownership.Reader:
    return read_ownership.Reader(current_caller(), current_request_id(), method)


def _place(key: tuple[paging.KeyPart, ...] | None) -> Place:
    if key is None:
        return Place()
    from_date, create_time, branch_id, period_id = key
    return Place(
        date.fromisoformat(str(from_date)),
        datetime.fromisoformat(str(create_time)),
        str(branch_id),
        int(period_id or 0),
    )
