"""Calls that change branches and staff: once for each request id, and never half."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from banyan.assignment.v1 import branch_pb2, org_change_pb2, staff_pb2
from banyan.assignment.v1 import org_service_pb2 as pb
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, wire
from chassis.caller import current_caller
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.wakeups import Wakeups
from services.assignment_svc.domain.org_changes import BATCH_MAX
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert, convert_org
from services.assignment_svc.store import org
from services.assignment_svc.usecases import change_branches, change_staff, org_changes
from services.assignment_svc.usecases.change_staff import Leaving

M = TypeVar("M", bound=Message)


class OrgChanges:
    """What OrgService does about changes; followers are told at once."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups

    async def create_branch(self, request: pb.CreateBranchRequest) -> branch_pb2.Branch:
        branch = convert_org.branch_from_wire(request.branch_id, request.branch)
        telling = convert_org.telling_of("CreateBranch", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> branch_pb2.Branch:
            return convert.branch_to_wire(await change_branches.create_branch(tx, telling, branch))

        return await self._once("CreateBranch", request, branch_pb2.Branch, work)

    async def update_branch(self, request: pb.UpdateBranchRequest) -> pb.UpdateBranchResponse:
        edit = convert_org.branch_edit_from_wire(request)
        telling = convert_org.telling_of("UpdateBranch", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> pb.UpdateBranchResponse:
            branch, plan = await change_branches.update_branch(tx, telling, edit)
            planned = convert_org.plan_to_wire(plan) if plan else None
            return pb.UpdateBranchResponse(branch=convert.branch_to_wire(branch), planned_org_change=planned)

        return await self._once("UpdateBranch", request, pb.UpdateBranchResponse, work)

    async def close_branch(self, request: pb.CloseBranchRequest) -> pb.CloseBranchResponse:
        branch_id = names.parse_one("branches", request.name)
        last = wire.date_from_wire_or_none(request.close_date, "close_date")
        telling = convert_org.telling_of("CloseBranch", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> pb.CloseBranchResponse:
            branch = await change_branches.close_branch(tx, telling, branch_id, request.etag, last)
            return pb.CloseBranchResponse(branch=convert.branch_to_wire(branch))

        return await self._once("CloseBranch", request, pb.CloseBranchResponse, work)

    async def create_staff(self, request: pb.CreateStaffRequest) -> staff_pb2.Staff:
        staff = convert_org.staff_from_wire(request.staff_id, request.staff)
        telling = convert_org.telling_of("CreateStaff", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> staff_pb2.Staff:
            return convert.staff_to_wire(await change_staff.create_staff(tx, telling, staff))

        return await self._once("CreateStaff", request, staff_pb2.Staff, work)

    async def update_staff(self, request: pb.UpdateStaffRequest) -> pb.UpdateStaffResponse:
        edit = convert_org.staff_edit_from_wire(request)
        telling = convert_org.telling_of("UpdateStaff", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> pb.UpdateStaffResponse:
            staff, plan = await change_staff.update_staff(tx, telling, edit)
            planned = convert_org.plan_to_wire(plan) if plan else None
            return pb.UpdateStaffResponse(staff=convert.staff_to_wire(staff), planned_org_change=planned)

        return await self._once("UpdateStaff", request, pb.UpdateStaffResponse, work)

    async def deactivate_staff(self, request: pb.DeactivateStaffRequest) -> pb.DeactivateStaffResponse:
        leaving = Leaving(
            names.parse_one("staff", request.name),
            request.etag,
            wire.date_from_wire_or_none(request.active_until_date, "active_until_date"),
            names.parse_optional("staff", request.successor, "successor"),
        )
        telling = convert_org.telling_of("DeactivateStaff", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> pb.DeactivateStaffResponse:
            staff, ended = await change_staff.deactivate_staff(tx, telling, leaving)
            return pb.DeactivateStaffResponse(staff=convert.staff_to_wire(staff), session_count=ended)

        return await self._once("DeactivateStaff", request, pb.DeactivateStaffResponse, work)

    async def batch_update_staff(self, request: pb.BatchUpdateStaffRequest) -> pb.BatchUpdateStaffResponse:
        if len(request.updates) > BATCH_MAX:
            raise invalid_field("updates", f"must be at most {BATCH_MAX:,}")
        edits = convert_org.batch_from_wire(request)
        telling = convert_org.telling_of("BatchUpdateStaff", checked_reason(request.reason))
        if request.validate_only:
            async with self._database.begin() as tx:
                bad = await change_staff.batch_faults(tx, current_caller().staff_id, edits)
            return pb.BatchUpdateStaffResponse(bad_lines=map(convert_org.bad_line_to_wire, bad))

        async def work(tx: AsyncConnection) -> pb.BatchUpdateStaffResponse:
            stored = await change_staff.batch_update_staff(tx, telling, edits)
            return pb.BatchUpdateStaffResponse(staff=map(convert.staff_to_wire, stored))

        return await self._once("BatchUpdateStaff", request, pb.BatchUpdateStaffResponse, work)

    async def withdraw_plan(self, request: pb.WithdrawPlannedOrgChangeRequest) -> pb.WithdrawPlannedOrgChangeResponse:
        plan_id = names.parse_one("plannedOrgChanges", request.name)
        telling = convert_org.telling_of("WithdrawPlannedOrgChange", checked_reason(request.reason))

        async def work(tx: AsyncConnection) -> pb.WithdrawPlannedOrgChangeResponse:
            plan: org_change_pb2.PlannedOrgChange = convert_org.plan_to_wire(
                await org_changes.withdraw_plan(tx, telling, plan_id)
            )
            return pb.WithdrawPlannedOrgChangeResponse(planned_org_change=plan)

        return await self._once("WithdrawPlannedOrgChange", request, pb.WithdrawPlannedOrgChangeResponse, work)

    async def _once(
        self, method: str, request: Message, response: type[M], work: Callable[[AsyncConnection], Awaitable[M]]
    ) -> M:
        answer = await once(self._database, Write(method, request), response, work)
        await self._wakeups.notify(org.FEED)
        return answer
