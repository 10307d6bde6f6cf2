"""The servicer of MergeService, and the long work that it starts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from banyan.customer.v1 import merge_pb2, merge_service_pb2_grpc
from banyan.customer.v1 import merge_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from chassis.streams import Context
from services.customer_svc.domain.merges import Draft, MergeOwner, Verb
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.rpc import convert
from services.customer_svc.rpc import convert_merges as to
from services.customer_svc.store import duplicates, merged_customers, merges
from services.customer_svc.usecases.duplicates import (
    dismiss_duplicate,
    find_duplicates,
    get_duplicate,
    list_duplicates,
    reopen_duplicate,
)
from services.customer_svc.usecases.merges import (
    Decision,
    check_pair,
    decide,
    get_merge,
    list_merges,
    must_know_both,
    owners_of,
    propose_merge,
)

FIND = "find_duplicates"
_LAST = (datetime.max.replace(tzinfo=UTC), "")
# The wheel ships no types for it.
operations: Any = operations_pb2


class Forecast(Protocol):
    """What other services would make of a merge; None if they cannot say now."""

    async def owners_after(self, merging: Merging) -> Sequence[MergeOwner] | None: ...
    async def contact_count(self, merging: Merging) -> int | None: ...


class MergeServicer(merge_service_pb2_grpc.MergeServiceServicer):
    def __init__(self, database: Database, long_work: Operations, forecast: Forecast, paging_secret: bytes) -> None:
        self._database = database
        self._long_work = long_work
        self._forecast = forecast
        self._paging_secret = paging_secret

    async def GetDuplicate(self, request: pb.GetDuplicateRequest, _context: Context) -> merge_pb2.Duplicate:
        async with self._database.read() as conn:
            pair = await get_duplicate(conn, _reading("GetDuplicate"), names.parse_one("duplicates", request.name))
        return to.duplicate_to_wire(pair)

    async def ListDuplicates(self, request: pb.ListDuplicatesRequest, _context: Context) -> pb.ListDuplicatesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = (int(key[0] or 0), str(key[1]), str(key[2])) if key else None
        wanted = duplicates.Wanted(
            to.duplicate_state_from_wire(request.state), names.parse_optional("customers", request.customer, "customer")
        )
        async with self._database.read() as conn:
            found = await list_duplicates(conn, _reading("ListDuplicates"), wanted, after, size)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            ids = [customer.customer_id for customer in last.customers]
            token = paging.encode([last.score, *ids], request, self._paging_secret)
        return pb.ListDuplicatesResponse(duplicates=map(to.duplicate_to_wire, found[:size]), next_page_token=token)

    async def FindDuplicates(self, request: pb.FindDuplicatesRequest, _context: Context) -> Message:
        write = Write("FindDuplicates", request)
        caller = current_caller().staff_id

        async def start(tx: AsyncConnection) -> Message:
            return await self._long_work.start(tx, FIND, request, caller, request.request_id)

        return await once(self._database, write, operations.Operation, start)

    async def DismissDuplicate(
        self, request: pb.DismissDuplicateRequest, _context: Context
    ) -> pb.DismissDuplicateResponse:
        reading, pair_id = _reading("DismissDuplicate"), names.parse_one("duplicates", request.name)
        reason = to.check_given(request.reason)

        async def work(tx: AsyncConnection) -> pb.DismissDuplicateResponse:
            pair = await dismiss_duplicate(tx, reading, pair_id, reason)
            return pb.DismissDuplicateResponse(duplicate=to.duplicate_to_wire(pair))

        write = Write("DismissDuplicate", request, lambda tx: get_duplicate(tx, reading, pair_id))
        return await once(self._database, write, pb.DismissDuplicateResponse, work)

    async def ReopenDuplicate(
        self, request: pb.ReopenDuplicateRequest, _context: Context
    ) -> pb.ReopenDuplicateResponse:
        reading, pair_id = _reading("ReopenDuplicate"), names.parse_one("duplicates", request.name)

        async def work(tx: AsyncConnection) -> pb.ReopenDuplicateResponse:
            pair = await reopen_duplicate(tx, reading, pair_id)
            return pb.ReopenDuplicateResponse(duplicate=to.duplicate_to_wire(pair))

        write = Write("ReopenDuplicate", request, lambda tx: get_duplicate(tx, reading, pair_id))
        return await once(self._database, write, pb.ReopenDuplicateResponse, work)

    async def ProposeMerge(self, request: pb.ProposeMergeRequest, _context: Context) -> pb.ProposeMergeResponse:
        reading, draft = _reading("ProposeMerge"), to.draft_from_wire(request.merge)
        to.check_given(draft.reason, "merge.reason")
        preview = to.preview_to_wire(await self._preview(reading, draft, checks=request.validate_only))
        if request.validate_only:
            return pb.ProposeMergeResponse(merge=to.draft_to_wire(draft), preview=preview)

        async def work(tx: AsyncConnection) -> pb.ProposeMergeResponse:
            merge = await propose_merge(tx, reading, draft)
            return pb.ProposeMergeResponse(merge=to.merge_to_wire(merge), preview=preview)

        write = Write("ProposeMerge", request, lambda tx: must_know_both(tx, reading, draft))
        return await once(self._database, write, pb.ProposeMergeResponse, work)

    async def GetMerge(self, request: pb.GetMergeRequest, _context: Context) -> merge_pb2.Merge:
        async with self._database.read() as conn:
            merge = await get_merge(conn, _reading("GetMerge"), names.parse_one("merges", request.name))
        return to.merge_to_wire(merge)

    async def ListMerges(self, request: pb.ListMergesRequest, _context: Context) -> pb.ListMergesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else _LAST
        wanted = merges.Wanted(to.state_from_wire(request.state), request.waiting)
        async with self._database.read() as conn:
            page, last = await list_merges(conn, _reading("ListMerges"), wanted, before, size)
        token = ""
        if last is not None:
            token = paging.encode([last.create_time.isoformat(), last.merge_id], request, self._paging_secret)
        return pb.ListMergesResponse(merges=map(to.merge_to_wire, page), next_page_token=token)

    async def ApproveMerge(self, request: pb.ApproveMergeRequest, _context: Context) -> pb.ApproveMergeResponse:
        return await self._decided(Verb.APPROVE, "", request, pb.ApproveMergeResponse)

    async def RejectMerge(self, request: pb.RejectMergeRequest, _context: Context) -> pb.RejectMergeResponse:
        return await self._decided(Verb.REJECT, to.check_given(request.reason), request, pb.RejectMergeResponse)

    async def CancelMerge(self, request: pb.CancelMergeRequest, _context: Context) -> pb.CancelMergeResponse:
        return await self._decided(Verb.CANCEL, "", request, pb.CancelMergeResponse)

    async def UndoMerge(self, request: pb.UndoMergeRequest, _context: Context) -> pb.UndoMergeResponse:
        return await self._decided(Verb.UNDO, to.check_given(request.reason), request, pb.UndoMergeResponse)

    async def ListMergedCustomers(
        self, request: pb.ListMergedCustomersRequest, _context: Context
    ) -> pb.ListMergedCustomersResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found = await merged_customers.page(conn, str(key[0]) if key else "", size + 1)
        more = len(found) > size
        return pb.ListMergedCustomersResponse(
            merged_customers=map(to.merged_to_wire, found[:size]),
            next_page_token=paging.encode([found[size - 1][0]], request, self._paging_secret) if more else "",
        )

    async def _decided(self, verb: Verb, reason: str, request: Any, response: Any) -> Any:  # noqa: ANN401 -- four messages with the same fields
        reading = _reading(f"{verb.capitalize()}Merge")
        decision = Decision(verb, names.parse_one("merges", request.name), reason, request.etag)

        async def work(tx: AsyncConnection) -> Any:  # noqa: ANN401 -- the same
            return response(merge=to.merge_to_wire(await decide(tx, reading, decision)))

        write = Write(reading.method, request, lambda tx: get_merge(tx, reading, decision.merge_id))
        return await once(self._database, write, response, work)

    async def _preview(self, reading: Reading, draft: Draft, *, checks: bool) -> to.Preview:
        """What would move; with `checks` refused if it could not be proposed, which a real proposal checks itself."""
        async with self._database.begin() as tx:
            await must_know_both(tx, reading, draft)
            if checks:
                await check_pair(tx, draft)
            counts = await merged_customers.counts(tx, draft.merged_id)
            survivor_owners, merged_owners = [await owners_of(tx, one) for one in (draft.survivor_id, draft.merged_id)]
        # Under an id that no merge has: nothing is stored under it.
        merging = Merging("preview", draft.survivor_id, draft.merged_id)
        return to.Preview(
            counts,
            await self._forecast.contact_count(merging),
            survivor_owners,
            merged_owners,
            await self._forecast.owners_after(merging),
        )


class Finding:
    """The handler of the operation: looks for pairs and tells how many there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, run: Run) -> pb.FindDuplicatesResponse:
        async def tell(count: int) -> bool:
            await run.progress(pb.FindDuplicatesMetadata(pair_count=count))
            return not run.cancelled()

        return pb.FindDuplicatesResponse(pair_count=await find_duplicates(self._database, tell))


def _reading(method: str) -> Reading:
    return convert.reading_of(current_caller(), method)
