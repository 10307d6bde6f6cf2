"""The servicer of CreditService."""

from datetime import date

from banyan.assignment.v1 import credit_pb2, credit_service_pb2_grpc
from banyan.assignment.v1 import credit_service_pb2 as pb
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller, current_request_id
from chassis.errors import invalid_field, not_found
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_scores as convert
from services.assignment_svc.store import credit as store
from services.assignment_svc.store.credit import Page, Recorded
from services.assignment_svc.usecases import credit
from services.assignment_svc.usecases.read_ownership import Reader

_INTERCEPTION, _CUSTODY = "customers/*/interceptions/*", "branches/*/creditCustodies/*"
_VERSION_MAX = 2**31 - 1


class CreditServicer(credit_service_pb2_grpc.CreditServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def RecordInterception(
        self, request: pb.RecordInterceptionRequest, _context: Context
    ) -> credit_pb2.Interception:
        customer_id = names.parse_one("customers", request.parent, "parent")
        reader = _reader("RecordInterception")
        wanted = convert.interception_from_wire(customer_id, request.interception, reader.caller.staff_id)

        async def work(tx: AsyncConnection) -> credit_pb2.Interception:
            return convert.interception_to_wire(await credit.record_interception(tx, wanted, reader))

        write = Write(reader.method, request, lambda tx: credit.check_primary(tx, customer_id, reader.caller))
        return await once(self._database, write, credit_pb2.Interception, work)

    async def WithdrawInterception(
        self, request: pb.WithdrawInterceptionRequest, _context: Context
    ) -> credit_pb2.Interception:
        customer_id, record_id = names.parse(_INTERCEPTION, request.name)
        reader, reason = _reader("WithdrawInterception"), checked_reason(request.reason)

        async def work(tx: AsyncConnection) -> credit_pb2.Interception:
            ended = await credit.withdraw_interception(tx, customer_id, record_id, reader, reason)
            return convert.interception_to_wire(ended)

        write = Write(reader.method, request, lambda tx: credit.check_primary(tx, customer_id, reader.caller))
        return await once(self._database, write, credit_pb2.Interception, work)

    async def GetInterception(self, request: pb.GetInterceptionRequest, _context: Context) -> credit_pb2.Interception:
        customer_id, record_id = names.parse(_INTERCEPTION, request.name)
        async with self._database.read() as conn:
            found = await credit.list_interceptions(
                conn, customer_id, _reader("GetInterception"), Page(1, only=record_id)
            )
        return convert.interception_to_wire(_only(found))

    async def ListInterceptions(
        self, request: pb.ListInterceptionsRequest, _context: Context
    ) -> pb.ListInterceptionsResponse:
        size = paging.page_size(request.page_size)
        page = self._page(request.page_token, request, size + 1)
        customer_id = names.parse_one("customers", request.parent, "parent")
        async with self._database.read() as conn:
            found = await credit.list_interceptions(conn, customer_id, _reader("ListInterceptions"), page)
        return pb.ListInterceptionsResponse(
            interceptions=map(convert.interception_to_wire, found[:size]),
            next_page_token=self._next(found, size, request),
        )

    async def RecordCreditCustody(
        self, request: pb.RecordCreditCustodyRequest, _context: Context
    ) -> credit_pb2.CreditCustody:
        branch_id = names.parse_one("branches", request.parent, "parent")
        reader = _reader("RecordCreditCustody")
        wanted = convert.custody_from_wire(branch_id, request.credit_custody, reader.caller.staff_id)

        async def work(tx: AsyncConnection) -> credit_pb2.CreditCustody:
            return convert.custody_to_wire(await credit.record_custody(tx, wanted, reader))

        write = Write(reader.method, request, lambda tx: credit.check_head(tx, branch_id, reader.caller))
        return await once(self._database, write, credit_pb2.CreditCustody, work)

    async def WithdrawCreditCustody(
        self, request: pb.WithdrawCreditCustodyRequest, _context: Context
    ) -> credit_pb2.CreditCustody:
        branch_id, record_id = names.parse(_CUSTODY, request.name)
        reader, reason = _reader("WithdrawCreditCustody"), checked_reason(request.reason)

        async def work(tx: AsyncConnection) -> credit_pb2.CreditCustody:
            ended = await credit.withdraw_custody(tx, branch_id, record_id, reader, reason)
            return convert.custody_to_wire(ended)

        write = Write(reader.method, request, lambda tx: credit.check_head(tx, branch_id, reader.caller))
        return await once(self._database, write, credit_pb2.CreditCustody, work)

    async def GetCreditCustody(
        self, request: pb.GetCreditCustodyRequest, _context: Context
    ) -> credit_pb2.CreditCustody:
        branch_id, record_id = names.parse(_CUSTODY, request.name)
        async with self._database.read() as conn:
            await credit.check_head(conn, branch_id, current_caller())
            return convert.custody_to_wire(_only(await store.custodies(conn, branch_id, Page(1, only=record_id))))

    async def ListCreditCustodies(
        self, request: pb.ListCreditCustodiesRequest, _context: Context
    ) -> pb.ListCreditCustodiesResponse:
        size = paging.page_size(request.page_size)
        page = self._page(request.page_token, request, size + 1)
        branch_id = names.parse_one("branches", request.parent, "parent")
        async with self._database.read() as conn:
            await credit.check_head(conn, branch_id, current_caller())
            found = await store.custodies(conn, branch_id, page)
        return pb.ListCreditCustodiesResponse(
            credit_custodies=map(convert.custody_to_wire, found[:size]),
            next_page_token=self._next(found, size, request),
        )

    async def CreateScorePolicy(
        self, request: pb.CreateScorePolicyRequest, _context: Context
    ) -> credit_pb2.ScorePolicy:
        wanted, reader = convert.policy_from_wire(request.score_policy), _reader("CreateScorePolicy")

        async def work(tx: AsyncConnection) -> credit_pb2.ScorePolicy:
            return convert.policy_to_wire(await credit.create_policy(tx, wanted, reader))

        return await once(self._database, Write(reader.method, request), credit_pb2.ScorePolicy, work)

    async def GetScorePolicy(self, request: pb.GetScorePolicyRequest, _context: Context) -> credit_pb2.ScorePolicy:
        version = names.parse_one("scorePolicies", request.name)
        if not version.isdecimal() or not 0 < int(version) <= _VERSION_MAX:
            raise invalid_field("name", "must end in the number of a version")
        async with self._database.read() as conn:
            found = await store.get_policy(conn, int(version))
        if found is None:
            raise not_found()
        return convert.policy_to_wire(found)

    async def ListScorePolicies(
        self, request: pb.ListScorePoliciesRequest, _context: Context
    ) -> pb.ListScorePoliciesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found = await store.policies(conn, int(key[0] or 0) if key else _VERSION_MAX, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode([found[size - 1].policy.version], request, self._paging_secret)
        return pb.ListScorePoliciesResponse(
            score_policies=map(convert.policy_to_wire, found[:size]), next_page_token=token
        )

    def _page(self, token: str, request: Message, limit: int) -> Page:
        key = paging.decode(token, request, self._paging_secret)
        return Page(limit, date.fromisoformat(str(key[0])), str(key[1])) if key else Page(limit)

    def _next(self, found: list[Recorded], size: int, request: Message) -> str:
        if len(found) <= size:
            return ""
        last = found[size - 1]
        return paging.encode([last.from_date.isoformat(), last.record_id], request, self._paging_secret)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)


def _only(found: list[Recorded]) -> Recorded:
    if not found:
        raise not_found()
    return found[0]
