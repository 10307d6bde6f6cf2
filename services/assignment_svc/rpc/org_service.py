"""The servicer of OrgService."""

from collections.abc import AsyncIterator

from banyan.assignment.v1 import branch_pb2, org_service_pb2_grpc, staff_pb2
from banyan.assignment.v1 import org_service_pb2 as pb

from chassis import names, paging, wire
from chassis.errors import not_found
from chassis.feed import Publisher
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.domain.acting import OrgThing
from services.assignment_svc.rpc import convert
from services.assignment_svc.store import org


class OrgServicer(org_service_pb2_grpc.OrgServiceServicer):
    def __init__(self, database: Database, changes: Publisher[OrgThing], paging_secret: bytes) -> None:
        self._database = database
        self._changes = changes
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
