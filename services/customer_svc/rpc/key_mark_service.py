"""The servicer of KeyMarkService."""

from functools import partial
from typing import Any, TypeVar

from banyan.customer.v1 import key_mark_pb2, key_mark_service_pb2_grpc
from banyan.customer.v1 import key_mark_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.customer_svc.domain.key_marks import Proposal, Step
from services.customer_svc.rpc import convert, convert_tags
from services.customer_svc.store.facts import FEED
from services.customer_svc.store.key_proposals import FIRST_TIME, LAST_TIME
from services.customer_svc.usecases import key_marks
from services.customer_svc.usecases.key_marks import Decision
from services.customer_svc.usecases.must_see import must_see_noted

_PROPOSALS = "customers/*/keyMarkProposals/*"
R = TypeVar(
    "R",
    pb.ApproveKeyMarkProposalResponse,
    pb.RefuseKeyMarkProposalResponse,
    pb.WithdrawKeyMarkProposalResponse,
    pb.EndKeyMarkProposalResponse,
)


class KeyMarkServicer(key_mark_service_pb2_grpc.KeyMarkServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups, paging_secret: bytes) -> None:
        self._database = database
        self._wakeups = wakeups
        self._paging_secret = paging_secret

    async def GetKeyMark(self, request: pb.GetKeyMarkRequest, _context: Context) -> key_mark_pb2.KeyMark:
        (customer_id,) = names.parse("customers/*/keyMark", request.name)
        reading = convert.reading_of(current_caller(), "GetKeyMark")
        async with self._database.read() as conn:
            return convert_tags.key_mark_to_wire(await key_marks.get_key_mark(conn, reading, customer_id))

    async def ListKeyMarkChanges(
        self, request: pb.ListKeyMarkChangesRequest, _context: Context
    ) -> pb.ListKeyMarkChangesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        customer_id = names.parse_one("customers", request.parent, "parent")
        before = int(key[0] or 0) if key else convert_tags.LAST_CHANGE
        reading = convert.reading_of(current_caller(), "ListKeyMarkChanges")
        async with self._database.read() as conn:
            found = await key_marks.list_changes(conn, reading, customer_id, before, size)
        more = len(found) > size
        return pb.ListKeyMarkChangesResponse(
            key_mark_changes=[convert_tags.key_change_to_wire(customer_id, change) for change in found[:size]],
            next_page_token=paging.encode([found[size - 1].change_id], request, self._paging_secret) if more else "",
        )

    async def CreateKeyMarkProposal(
        self, request: pb.CreateKeyMarkProposalRequest, _context: Context
    ) -> key_mark_pb2.KeyMarkProposal:
        customer_id = names.parse_one("customers", request.parent, "parent")
        asked, viewer = request.key_mark_proposal, convert.viewer_of(current_caller())
        reason = convert_tags.reason_from_wire(asked.reason, "key_mark_proposal.reason")
        end_date = wire.date_from_wire(asked.end_date, "key_mark_proposal.end_date")

        async def create(tx: AsyncConnection) -> key_mark_pb2.KeyMarkProposal:
            made = await key_marks.propose(tx, viewer, customer_id, reason, end_date)
            return convert_tags.proposal_to_wire(made)

        reading = convert.reading_of(current_caller(), "CreateKeyMarkProposal")
        seen = partial(must_see_noted, reading=reading, customer_id=customer_id, field=key_marks.FIELD)
        write = Write(reading.method, request, seen)
        return await once(self._database, write, key_mark_pb2.KeyMarkProposal, create)

    async def GetKeyMarkProposal(
        self, request: pb.GetKeyMarkProposalRequest, _context: Context
    ) -> key_mark_pb2.KeyMarkProposal:
        customer_id, proposal_id = names.parse(_PROPOSALS, request.name)
        reading = convert.reading_of(current_caller(), "GetKeyMarkProposal")
        async with self._database.read() as conn:
            found = await key_marks.get_proposal(conn, reading, customer_id, proposal_id)
        return convert_tags.proposal_to_wire(found)

    async def ListKeyMarkProposals(
        self, request: pb.ListKeyMarkProposalsRequest, _context: Context
    ) -> pb.ListKeyMarkProposalsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        customer_id = names.parse_one("customers", request.parent, "parent")
        before = convert_tags.place_from_key(key) if key else (LAST_TIME, "")
        reading = convert.reading_of(current_caller(), "ListKeyMarkProposals")
        async with self._database.read() as conn:
            found = await key_marks.list_proposals(conn, reading, customer_id, before, size)
        more = len(found) > size
        return pb.ListKeyMarkProposalsResponse(
            key_mark_proposals=map(convert_tags.proposal_to_wire, found[:size]),
            next_page_token=self._token(found[size - 1], request) if more else "",
        )

    async def ListKeyMarkApprovals(
        self, request: pb.ListKeyMarkApprovalsRequest, _context: Context
    ) -> pb.ListKeyMarkApprovalsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = convert_tags.place_from_key(key) if key else (FIRST_TIME, "")
        reading = convert.reading_of(current_caller(), "ListKeyMarkApprovals")
        async with self._database.read() as conn:
            found = await key_marks.list_approvals(conn, reading, after, size)
        more = len(found) > size
        return pb.ListKeyMarkApprovalsResponse(
            key_mark_proposals=map(convert_tags.proposal_to_wire, found[:size]),
            next_page_token=self._token(found[size - 1], request) if more else "",
        )

    async def ApproveKeyMarkProposal(
        self, request: pb.ApproveKeyMarkProposalRequest, _context: Context
    ) -> pb.ApproveKeyMarkProposalResponse:
        return await self._decide(request, Step.APPROVE, pb.ApproveKeyMarkProposalResponse)

    async def RefuseKeyMarkProposal(
        self, request: pb.RefuseKeyMarkProposalRequest, _context: Context
    ) -> pb.RefuseKeyMarkProposalResponse:
        return await self._decide(request, Step.REFUSE, pb.RefuseKeyMarkProposalResponse)

    async def WithdrawKeyMarkProposal(
        self, request: pb.WithdrawKeyMarkProposalRequest, _context: Context
    ) -> pb.WithdrawKeyMarkProposalResponse:
        return await self._decide(request, Step.WITHDRAW, pb.WithdrawKeyMarkProposalResponse)

    async def EndKeyMarkProposal(
        self, request: pb.EndKeyMarkProposalRequest, _context: Context
    ) -> pb.EndKeyMarkProposalResponse:
        return await self._decide(request, Step.END, pb.EndKeyMarkProposalResponse)

    async def _decide(self, request: Any, step: Step, response: type[R]) -> R:  # noqa: ANN401 -- one of four messages
        customer_id, proposal_id = names.parse(_PROPOSALS, request.name)
        reason = convert_tags.reason_from_wire(request.reason) if request.reason else ""
        decision, viewer = Decision(customer_id, proposal_id, step, reason), convert.viewer_of(current_caller())

        async def work(tx: AsyncConnection) -> R:
            decided = await key_marks.decide(tx, viewer, decision)
            return response(key_mark_proposal=convert_tags.proposal_to_wire(decided))

        method = response.DESCRIPTOR.name.removesuffix("Response")
        reading = convert.reading_of(current_caller(), method)
        seen = partial(must_see_noted, reading=reading, customer_id=customer_id, field=key_marks.FIELD)
        answer = await once(self._database, Write(method, request, seen), response, work)
        await self._wakeups.notify(FEED)
        return answer

    def _token(self, last: Proposal, request: Any) -> str:  # noqa: ANN401 -- whichever pages
        return paging.encode(convert_tags.place_of(last), request, self._paging_secret)
