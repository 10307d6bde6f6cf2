"""The servicer of VisitService."""

import hashlib
from functools import partial
from typing import Any

from banyan.assignment.v1 import visit_pb2, visit_service_pb2_grpc
from banyan.assignment.v1 import visit_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.rpc import convert_visits
from services.assignment_svc.store.visit_lists import Wanted
from services.assignment_svc.usecases import visits
from services.assignment_svc.usecases.read_ownership import Reader

_VISITS = "customers/*/visits/*"
_ALL = "-"
# Above every version.
_VERSION_MAX = 2**31 - 1


class VisitServicer(visit_service_pb2_grpc.VisitServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def CreateVisit(self, request: pb.CreateVisitRequest, _context: Context) -> visit_pb2.Visit:
        customer_id = names.parse_one("customers", request.parent, "parent")
        sent = convert_visits.sent_from_wire(request.visit)
        sent_hash = _hash(request)
        reader = _reader("CreateVisit")

        async def create(tx: AsyncConnection) -> visit_pb2.Visit:
            visit = await visits.create_visit(tx, reader, customer_id, sent, sent_hash)
            return convert_visits.visit_to_wire(visit)

        return await once(self._database, _write("CreateVisit", request, customer_id), visit_pb2.Visit, create)

    async def GetVisit(self, request: pb.GetVisitRequest, _context: Context) -> visit_pb2.Visit:
        async with self._database.read() as conn:
            found = await visits.get_visit(conn, _reader("GetVisit"), _named(request.name))
        return convert_visits.visit_to_wire(found)

    async def ListVisits(self, request: pb.ListVisitsRequest, _context: Context) -> pb.ListVisitsResponse:
        size = paging.page_size(request.page_size)
        customer_id = names.parse_one("customers", request.parent, "parent")
        wanted = Wanted(
            branch_id=names.parse_optional("branches", request.branch, "branch"),
            staff_id=names.parse_optional("staff", request.author, "author"),
            state=convert_visits.state_from_wire(request.state),
            from_date=wire.date_from_wire_or_none(request.from_date, "from_date"),
            until_date=wire.date_from_wire_or_none(request.until_date, "until_date"),
            with_withdrawn=request.show_withdrawn,
            before=convert_visits.place_from_key(paging.decode(request.page_token, request, self._paging_secret)),
        )
        whose = None if customer_id == _ALL else customer_id
        async with self._database.read() as conn:
            found = await visits.list_visits(conn, _reader("ListVisits"), whose, wanted, size + 1)
        page = paging.cut([convert_visits.visit_to_wire(one) for one in found[:size]])
        token = ""
        if len(page) < len(found):
            last = found[len(page) - 1]
            token = paging.encode([last.visit_date.isoformat(), last.visit_id], request, self._paging_secret)
        return pb.ListVisitsResponse(visits=page, next_page_token=token)

    async def ListVisitVersions(
        self, request: pb.ListVisitVersionsRequest, _context: Context
    ) -> pb.ListVisitVersionsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = int(key[0] or 0) if key else _VERSION_MAX
        named = _named(request.parent, "parent")
        async with self._database.read() as conn:
            found = await visits.list_versions(conn, _reader("ListVisitVersions"), named, before, size + 1)
        page = paging.cut([convert_visits.version_to_wire(one) for one in found[:size]])
        token = paging.encode([page[-1].version], request, self._paging_secret) if len(page) < len(found) else ""
        return pb.ListVisitVersionsResponse(versions=page, next_page_token=token)

    async def CorrectVisit(self, request: pb.CorrectVisitRequest, _context: Context) -> pb.CorrectVisitResponse:
        named = _named(request.name)
        content = convert_visits.content_from_wire(request.kind, request.content, request.attachments)
        reader, told = _reader("CorrectVisit"), (request.reason, request.etag)

        async def correct(tx: AsyncConnection) -> pb.CorrectVisitResponse:
            visit = await visits.correct_visit(tx, reader, named, content, told)
            return pb.CorrectVisitResponse(visit=convert_visits.visit_to_wire(visit))

        write = _write("CorrectVisit", request, named[0])
        return await once(self._database, write, pb.CorrectVisitResponse, correct)

    async def WithdrawVisit(self, request: pb.WithdrawVisitRequest, _context: Context) -> pb.WithdrawVisitResponse:
        named = _named(request.name)
        reader = _reader("WithdrawVisit")

        async def withdraw(tx: AsyncConnection) -> pb.WithdrawVisitResponse:
            visit = await visits.withdraw_visit(tx, reader, named, request.reason)
            return pb.WithdrawVisitResponse(visit=convert_visits.visit_to_wire(visit))

        write = _write("WithdrawVisit", request, named[0])
        return await once(self._database, write, pb.WithdrawVisitResponse, withdraw)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)


def _write(method: str, request: Any, customer_id: str) -> Write:  # noqa: ANN401 -- one of several messages
    return Write(method, request, partial(_check, customer_id=customer_id))


async def _check(tx: AsyncConnection, customer_id: str) -> None:
    await visits.must_look_after(tx, current_caller(), customer_id)


def _named(name: str, field: str = "name") -> tuple[str, str]:
    customer_id, visit_id = names.parse(_VISITS, name, field)
    return customer_id, visit_id


def _hash(request: pb.CreateVisitRequest) -> bytes:
    """Of what a device sends, whatever the id of the request that it sends it in."""
    bare = pb.CreateVisitRequest()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()
