"""The servicer of VisitDutyService."""

from banyan.assignment.v1 import visit_duty_pb2, visit_duty_service_pb2_grpc
from banyan.assignment.v1 import visit_duty_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import invalid_field, not_found
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.rpc import convert_visits
from services.assignment_svc.store import visit_policies
from services.assignment_svc.usecases import visit_duties
from services.assignment_svc.usecases.read_ownership import Reader
from services.assignment_svc.usecases.visit_duties import DueAsked, SummaryAsked

_ALL = "-"
# Above every version.
_VERSION_MAX = 2**31 - 1


class VisitDutyServicer(visit_duty_service_pb2_grpc.VisitDutyServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def ListDueVisits(self, request: pb.ListDueVisitsRequest, _context: Context) -> pb.ListDueVisitsResponse:
        size = paging.page_size(request.page_size)
        manager_id = names.parse_one("staff", request.parent, "parent")
        if manager_id == _ALL and not request.branch:
            raise invalid_field("branch", "is required with staff/-")
        asked = DueAsked(
            manager_id=None if manager_id == _ALL else manager_id,
            branch_id=names.parse_optional("branches", request.branch, "branch"),
            month=wire.date_from_wire_or_none(request.month_date, "month_date"),
            with_done=request.show_done,
            after=convert_visits.due_place_from_key(paging.decode(request.page_token, request, self._paging_secret)),
        )
        async with self._database.read() as conn:
            found = await visit_duties.list_due(conn, _reader("ListDueVisits"), asked, size + 1)
        key = convert_visits.due_place_of(found[size - 1]) if len(found) > size else None
        return pb.ListDueVisitsResponse(
            due_visits=map(convert_visits.due_to_wire, found[:size]),
            next_page_token=paging.encode(key, request, self._paging_secret) if key else "",
        )

    async def ListVisitSummaries(
        self, request: pb.ListVisitSummariesRequest, _context: Context
    ) -> pb.ListVisitSummariesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        asked = SummaryAsked(
            branch_id=names.parse_one("branches", request.parent, "parent"),
            month=wire.date_from_wire_or_none(request.month_date, "month_date"),
            with_subtree=request.include_subtree,
            after=str(key[0]) if key else "",
        )
        async with self._database.read() as conn:
            found = await visit_duties.list_summaries(conn, current_caller(), asked, size + 1)
        last = found[size - 1].manager_id if len(found) > size else ""
        return pb.ListVisitSummariesResponse(
            visit_summaries=map(convert_visits.summary_to_wire, found[:size]),
            next_page_token=paging.encode([last], request, self._paging_secret) if last else "",
        )

    async def CreateVisitPolicy(
        self, request: pb.CreateVisitPolicyRequest, _context: Context
    ) -> visit_duty_pb2.VisitPolicy:
        policy = convert_visits.policy_from_wire(request.visit_policy)
        reader = _reader("CreateVisitPolicy")

        async def create(tx: AsyncConnection) -> visit_duty_pb2.VisitPolicy:
            return convert_visits.policy_to_wire(await visit_duties.create_policy(tx, reader, policy))

        return await once(self._database, Write("CreateVisitPolicy", request), visit_duty_pb2.VisitPolicy, create)

    async def GetVisitPolicy(self, request: pb.GetVisitPolicyRequest, _context: Context) -> visit_duty_pb2.VisitPolicy:
        version = names.parse_one("visitPolicies", request.name)
        if not version.isdecimal() or int(version) > _VERSION_MAX:
            raise not_found()
        async with self._database.read() as conn:
            return convert_visits.policy_to_wire(await visit_duties.get_policy(conn, int(version)))

    async def ListVisitPolicies(
        self, request: pb.ListVisitPoliciesRequest, _context: Context
    ) -> pb.ListVisitPoliciesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found = await visit_policies.page(conn, int(key[0] or 0) if key else _VERSION_MAX, size + 1)
        last = found[size - 1].version if len(found) > size else 0
        return pb.ListVisitPoliciesResponse(
            visit_policies=map(convert_visits.policy_to_wire, found[:size]),
            next_page_token=paging.encode([last], request, self._paging_secret) if last else "",
        )


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)
