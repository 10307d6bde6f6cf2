"""The servicer of BranchChangeService, and the long work that it starts."""

from datetime import UTC, datetime
from typing import Any

from banyan.assignment.v1 import branch_change_pb2, branch_change_service_pb2_grpc
from banyan.assignment.v1 import branch_change_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.branch_changes import BranchChange, ChangeKind, MoveCounts, Planned
from services.assignment_svc.store import branch_changes as store
from services.assignment_svc.store import org, ownerships
from services.assignment_svc.usecases import branch_changes

APPLY = branch_changes.METHOD
# The wheel ships no types for it.
operations: Any = operations_pb2


class BranchChangeServicer(branch_change_service_pb2_grpc.BranchChangeServiceServicer):
    def __init__(self, database: Database, long_work: Operations, paging_secret: bytes) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret

    async def CreateBranchChange(
        self, request: pb.CreateBranchChangeRequest, _context: Context
    ) -> branch_change_pb2.BranchChange:
        planned, creator = _planned(request.branch_change), current_caller().staff_id

        async def work(tx: AsyncConnection) -> branch_change_pb2.BranchChange:
            return _to_wire(await branch_changes.plan(tx, planned, creator))

        write = Write("CreateBranchChange", request)
        return await once(self._database, write, branch_change_pb2.BranchChange, work)

    async def CancelBranchChange(
        self, request: pb.CancelBranchChangeRequest, _context: Context
    ) -> branch_change_pb2.BranchChange:
        branch_change_id, caller = names.parse_one("branchChanges", request.name), current_caller().staff_id

        async def work(tx: AsyncConnection) -> branch_change_pb2.BranchChange:
            return _to_wire(await branch_changes.cancel(tx, branch_change_id, caller))

        write = Write("CancelBranchChange", request)
        return await once(self._database, write, branch_change_pb2.BranchChange, work)

    async def GetBranchChange(
        self, request: pb.GetBranchChangeRequest, _context: Context
    ) -> branch_change_pb2.BranchChange:
        branch_change_id = names.parse_one("branchChanges", request.name)
        async with self._database.read() as conn:
            return _to_wire(await branch_changes.must_be(conn, branch_change_id))

    async def ListBranchChanges(
        self, request: pb.ListBranchChangesRequest, _context: Context
    ) -> pb.ListBranchChangesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else None
        branch_id = names.parse_optional("branches", request.branch, "branch")
        async with self._database.read() as conn:
            found = await store.page(conn, branch_id, before, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.create_time.astimezone(UTC).isoformat(), last.branch_change_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListBranchChangesResponse(branch_changes=map(_to_wire, found[:size]), next_page_token=token)

    async def ApplyBranchChange(self, request: pb.ApplyBranchChangeRequest, _context: Context) -> Message:
        branch_change_id, caller = names.parse_one("branchChanges", request.name), current_caller().staff_id

        async def work(tx: AsyncConnection) -> Message:
            await branch_changes.check_apply(tx, branch_change_id, caller, dry=request.validate_only)
            return await self._long_work.start(tx, APPLY, request, caller, request.request_id)

        return await once(self._database, Write(APPLY, request), operations.Operation, work)


class Applying:
    """The handler of the operation: moves customers, or tells what would be moved."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups

    async def __call__(self, run: Run) -> pb.ApplyBranchChangeResponse:
        request = run.request
        assert isinstance(request, pb.ApplyBranchChangeRequest)

        async def tell(done: int, total: int) -> bool:
            await run.progress(pb.ApplyBranchChangeMetadata(done_count=done, total_count=total))
            if not request.validate_only:
                await self._wakeups.notify(ownerships.FEED)
            return not run.cancelled()

        work = branch_changes.try_change if request.validate_only else branch_changes.apply_change
        branch_change_id = names.parse_one("branchChanges", request.name)
        counts = await work(self._database, branch_change_id, run.caller_id, tell)
        for feed in (ownerships.FEED, org.FEED):
            await self._wakeups.notify(feed)
        return pb.ApplyBranchChangeResponse(counts=_counts(counts))


def _planned(asked: branch_change_pb2.BranchChange) -> Planned:
    kind = branch_change_pb2.BranchChange.Kind.Name(asked.kind).removeprefix("KIND_")
    if kind not in ChangeKind.__members__:
        raise invalid_field("branch_change.kind", "is required")
    return Planned(
        kind=ChangeKind(kind),
        branch_id=names.parse_one("branches", asked.branch, "branch_change.branch"),
        target_id=names.parse_one("branches", asked.target, "branch_change.target"),
        manager_ids=tuple(names.parse_one("staff", each, "branch_change.managers") for each in asked.managers),
        effective_date=wire.date_from_wire(asked.effective_date, "branch_change.effective_date"),
        reason=asked.reason.strip(),
    )


def _to_wire(change: BranchChange) -> branch_change_pb2.BranchChange:
    planned = change.planned
    return branch_change_pb2.BranchChange(
        name=names.make("branchChanges", change.branch_change_id),
        kind=f"KIND_{planned.kind.value}",
        branch=names.make("branches", planned.branch_id),
        target=names.make("branches", planned.target_id),
        managers=[names.make("staff", staff_id) for staff_id in planned.manager_ids],
        effective_date=wire.date_to_wire(planned.effective_date),
        reason=planned.reason,
        state=f"STATE_{change.state.value}",
        creator=names.make("staff", change.creator),
        create_time=wire.time_to_wire(change.create_time),
        decider=names.make("staff", change.decider or None),
        decide_time=wire.time_to_wire(change.decide_time),
        counts=_counts(change.counts),
    )


def _counts(counts: MoveCounts) -> branch_change_pb2.MoveCounts:
    return branch_change_pb2.MoveCounts(
        customer_count=counts.customers,
        united_customer_count=counts.united,
        primary_customer_count=counts.primary,
        unassigned_customer_count=counts.unassigned,
        changed_row_count=counts.changed_rows,
        staff_count=counts.staff,
    )
