"""The servicer of OrgService."""

from collections.abc import AsyncIterator
from datetime import date

from banyan.assignment.v1 import branch_pb2, org_change_pb2, org_service_pb2_grpc, staff_pb2
from banyan.assignment.v1 import org_service_pb2 as pb

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.errors import not_found
from chassis.feed import Publisher
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.domain.acting import OrgThing
from services.assignment_svc.rpc import convert, convert_org
from services.assignment_svc.rpc.org_changes import OrgChanges
from services.assignment_svc.store import org
from services.assignment_svc.store import org_changes as log
from services.assignment_svc.store.org_changes import WantedPlans
from services.assignment_svc.usecases import org_changes


class OrgServicer(org_service_pb2_grpc.OrgServiceServicer):
    def __init__(
        self, database: Database, changes: Publisher[OrgThing], writes: OrgChanges, paging_secret: bytes
    ) -> None:
        self._database = database
        self._changes = changes
        self._writes = writes
        self._paging_secret = paging_secret

    async def GetBranch(self, request: pb.GetBranchRequest, _context: Context) -> branch_pb2.Branch:
        branch_id = names.parse_one("branches", request.name)
        async with self._database.read() as conn:
            branch = await org.get_branch(conn, branch_id)
        if branch is None:
            raise not_found()
        return convert.branch_to_wire(branch)

    async def ListBranches(self, request: pb.ListBranchesRequest, _context: Context) -> pb.ListBranchesResponse:
        size = paging.page_size(request.page_size)
        parent_id = names.parse_optional("branches", request.parent, "parent")
        after = _after(paging.decode(request.page_token, request, self._paging_secret))
        async with self._database.read() as conn:
            found = await org.list_branches(conn, parent_id, after, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode([found[size - 1].branch_id], request, self._paging_secret)
        return pb.ListBranchesResponse(branches=map(convert.branch_to_wire, found[:size]), next_page_token=token)

    async def GetStaff(self, request: pb.GetStaffRequest, _context: Context) -> staff_pb2.Staff:
        staff_id = names.parse_one("staff", request.name)
        async with self._database.read() as conn:
            staff = await org.get_staff(conn, staff_id)
        if staff is None:
            raise not_found()
        return convert.staff_to_wire(staff)

    async def ListStaff(self, request: pb.ListStaffRequest, _context: Context) -> pb.ListStaffResponse:
        size = paging.page_size(request.page_size)
        branch_id = names.parse_optional("branches", request.branch, "branch")
        after = _after(paging.decode(request.page_token, request, self._paging_secret))
        async with self._database.read() as conn:
            found = await org.list_staff(conn, branch_id, after, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode([found[size - 1].staff_id], request, self._paging_secret)
        return pb.ListStaffResponse(staff=map(convert.staff_to_wire, found[:size]), next_page_token=token)

    async def GetBranchTree(self, request: pb.GetBranchTreeRequest, _context: Context) -> pb.GetBranchTreeResponse:
        branch_id = names.parse_one("branches", request.name)
        day = wire.date_from_wire_or_none(request.as_of_date, "as_of_date")
        async with self._database.read() as conn:
            found = await org_changes.tree(conn, branch_id, day, show_closed=request.show_closed)
        return pb.GetBranchTreeResponse(
            nodes=map(convert_org.node_to_wire, found.nodes), as_of_date=wire.date_to_wire(found.day)
        )

    async def ListBranchPeriods(
        self, request: pb.ListBranchPeriodsRequest, _context: Context
    ) -> pb.ListBranchPeriodsResponse:
        size = paging.page_size(request.page_size)
        branch_id = names.parse_one("branches", request.parent, "parent")
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            if await org.get_branch(conn, branch_id) is None:
                raise not_found()
            found = await log.periods_of(conn, branch_id, int(key[0] or 0) if key else None, size + 1)
        more = len(found) > size
        return pb.ListBranchPeriodsResponse(
            branch_periods=map(convert_org.period_to_wire, found[:size]),
            next_page_token=paging.encode([found[size - 1].period_id], request, self._paging_secret) if more else "",
        )

    async def CreateBranch(self, request: pb.CreateBranchRequest, _context: Context) -> branch_pb2.Branch:
        return await self._writes.create_branch(request)

    async def UpdateBranch(self, request: pb.UpdateBranchRequest, _context: Context) -> pb.UpdateBranchResponse:
        return await self._writes.update_branch(request)

    async def CloseBranch(self, request: pb.CloseBranchRequest, _context: Context) -> pb.CloseBranchResponse:
        return await self._writes.close_branch(request)

    async def CreateStaff(self, request: pb.CreateStaffRequest, _context: Context) -> staff_pb2.Staff:
        return await self._writes.create_staff(request)

    async def UpdateStaff(self, request: pb.UpdateStaffRequest, _context: Context) -> pb.UpdateStaffResponse:
        return await self._writes.update_staff(request)

    async def DeactivateStaff(
        self, request: pb.DeactivateStaffRequest, _context: Context
    ) -> pb.DeactivateStaffResponse:
        return await self._writes.deactivate_staff(request)

    async def BatchUpdateStaff(
        self, request: pb.BatchUpdateStaffRequest, _context: Context
    ) -> pb.BatchUpdateStaffResponse:
        return await self._writes.batch_update_staff(request)

    async def GetPlannedOrgChange(
        self, request: pb.GetPlannedOrgChangeRequest, _context: Context
    ) -> org_change_pb2.PlannedOrgChange:
        plan_id = names.parse_one("plannedOrgChanges", request.name)
        async with self._database.read() as conn:
            plans = await org_changes.list_plans(conn, current_caller(), WantedPlans(plan_id=plan_id), None, 1)
        if not plans:
            raise not_found()
        return convert_org.plan_to_wire(plans[0])

    async def ListPlannedOrgChanges(
        self, request: pb.ListPlannedOrgChangesRequest, _context: Context
    ) -> pb.ListPlannedOrgChangesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (date.fromisoformat(str(key[0])), str(key[1])) if key else None
        wanted = convert_org.wanted_plans_from_wire(request)
        async with self._database.read() as conn:
            found = await org_changes.list_plans(conn, current_caller(), wanted, after, size + 1)
        token = ""
        if len(found) > size:
            place = [found[size - 1].effective_date.isoformat(), found[size - 1].plan_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListPlannedOrgChangesResponse(
            planned_org_changes=map(convert_org.plan_to_wire, found[:size]), next_page_token=token
        )

    async def WithdrawPlannedOrgChange(
        self, request: pb.WithdrawPlannedOrgChangeRequest, _context: Context
    ) -> pb.WithdrawPlannedOrgChangeResponse:
        return await self._writes.withdraw_plan(request)

    async def GetOrgChangeEntry(
        self, request: pb.GetOrgChangeEntryRequest, _context: Context
    ) -> org_change_pb2.OrgChangeEntry:
        entry_id = convert_org.entry_id_from_wire(request.name)
        async with self._database.read() as conn:
            entry = await log.get_entry(conn, entry_id)
        if entry is None:
            raise not_found()
        return convert_org.entry_to_wire(entry)

    async def ListOrgChangeEntries(
        self, request: pb.ListOrgChangeEntriesRequest, _context: Context
    ) -> pb.ListOrgChangeEntriesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        asked = convert_org.asked_from_wire(request)
        async with self._database.read() as conn:
            found = await log.entries(conn, asked, int(key[0] or 0) if key else 0, size + 1)
        shown = paging.cut([convert_org.entry_to_wire(entry) for entry in found[:size]])
        token = ""
        if len(shown) < len(found):
            token = paging.encode([found[len(shown) - 1].entry_id], request, self._paging_secret)
        return pb.ListOrgChangeEntriesResponse(org_change_entries=shown, next_page_token=token)

    async def WatchOrgChanges(
        self, request: pb.WatchOrgChangesRequest, _context: Context
    ) -> AsyncIterator[pb.WatchOrgChangesResponse]:
        async for page in self._changes.watch(request.resume_token):
            for part in page.parts(convert.org_item_to_wire):
                yield pb.WatchOrgChangesResponse(
                    changes=part.items,
                    resume_token=part.resume_token,
                    caught_up=part.caught_up,
                    source_time=wire.time_to_wire(part.source_time),
                )


def _after(key: tuple[paging.KeyPart, ...] | None) -> str:
    return str(key[0]) if key else ""
