"""The servicer of ScoreCardService, and the long work that it starts."""

from datetime import date
from typing import Any

from banyan.assignment.v1 import score_card_pb2, score_card_service_pb2_grpc
from banyan.assignment.v1 import score_card_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.sql.idempotency import Asked, answer_given, remember
from chassis.streams import Context
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_scores as convert
from services.assignment_svc.store import score_cards as store
from services.assignment_svc.store.score_cards import After, Ranking
from services.assignment_svc.usecases import score_cards
from services.assignment_svc.usecases.build_score_cards import (
    build_score_cards,
    check_freeze,
    check_imported,
    freeze_month,
)
from services.assignment_svc.usecases.read_ownership import Reader

BUILD, FREEZE = "build_score_cards", "freeze_score_month"
# The wheel ships no types for it.
operations: Any = operations_pb2


class ScoreCardServicer(score_card_service_pb2_grpc.ScoreCardServiceServicer):
    def __init__(self, database: Database, long_work: Operations, paging_secret: bytes) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret

    async def GetScoreCard(self, request: pb.GetScoreCardRequest, _context: Context) -> score_card_pb2.ScoreCard:
        card_id = convert.card_id_from_wire(request.name, "name")
        async with self._database.read() as conn:
            return convert.card_to_wire(await score_cards.get_card(conn, card_id, current_caller()))

    async def ListScoreCards(self, request: pb.ListScoreCardsRequest, _context: Context) -> pb.ListScoreCardsResponse:
        size = paging.page_size(request.page_size)
        ranking, key = _ranking(request), paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            after = _after(key) if key else None
            cards, last = await score_cards.list_cards(conn, ranking, current_caller(), after, size)
        token = ""
        if last:
            place = [last.ordered_by, last.card_id.branch_id, last.card_id.staff_id or ""]
            token = paging.encode(place, request, self._paging_secret)
        listed = [pb.RankedScoreCard(score_card=convert.card_to_wire(card), place=card.place) for card in cards]
        return pb.ListScoreCardsResponse(score_cards=listed, next_page_token=token)

    async def ListScoreCardCustomers(
        self, request: pb.ListScoreCardCustomersRequest, _context: Context
    ) -> pb.ListScoreCardCustomersResponse:
        size = paging.page_size(request.page_size)
        card_id = convert.card_id_from_wire(request.parent, "parent")
        indicator = convert.indicator_required(request.indicator, "indicator")
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            behind = await score_cards.list_customers(
                conn, card_id, indicator, _reader("ListScoreCardCustomers"), (str(key[0]) if key else "", size)
            )
        token = ""
        if behind.more:
            token = paging.encode([behind.customers[-1].customer_id], request, self._paging_secret)
        return pb.ListScoreCardCustomersResponse(
            customer_credits=map(convert.part_to_wire, behind.customers),
            next_page_token=token,
            hidden_count=behind.hidden_count,
            hidden_value=behind.hidden_value,
            whole_value=behind.whole_value,
        )

    async def BuildScoreCards(self, request: pb.BuildScoreCardsRequest, _context: Context) -> Message:
        day = wire.date_from_wire(request.business_date, "business_date")
        return await self._start(BUILD, request, lambda tx: check_imported(tx, day))

    async def FreezeScoreMonth(self, request: pb.FreezeScoreMonthRequest, _context: Context) -> Message:
        first = convert.month_from_name(request.name)
        return await self._start(FREEZE, request, lambda tx: check_freeze(tx, first))

    async def UnfreezeScoreMonth(
        self, request: pb.UnfreezeScoreMonthRequest, _context: Context
    ) -> score_card_pb2.ScoreMonth:
        first, reason = convert.month_from_name(request.name), checked_reason(request.reason)
        reader = _reader("UnfreezeScoreMonth")

        async def work(tx: AsyncConnection) -> score_card_pb2.ScoreMonth:
            return convert.month_to_wire(await score_cards.unfreeze(tx, first, reader, reason))

        return await once(self._database, Write("UnfreezeScoreMonth", request), score_card_pb2.ScoreMonth, work)

    async def GetScoreMonth(self, request: pb.GetScoreMonthRequest, _context: Context) -> score_card_pb2.ScoreMonth:
        async with self._database.read() as conn:
            return convert.month_to_wire(await score_cards.get_month(conn, convert.month_from_name(request.name)))

    async def ListScoreMonths(
        self, request: pb.ListScoreMonthsRequest, _context: Context
    ) -> pb.ListScoreMonthsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found = await store.months(conn, date.fromisoformat(str(key[0])) if key else None, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode([found[size - 1].first.isoformat()], request, self._paging_secret)
        return pb.ListScoreMonthsResponse(score_months=map(convert.month_to_wire, found[:size]), next_page_token=token)

    async def _start(self, kind: str, request: Any, check: Any) -> Message:  # noqa: ANN401 - one of two messages and checks
        """Starts long work, once for each request id; the check refuses what would surely fail."""
        caller = current_caller()
        asked = Asked(request.request_id, caller.staff_id, kind, request.SerializeToString(deterministic=True))
        async with self._database.begin() as tx:
            given = await answer_given(tx, asked)
            if given is not None:
                return operations.Operation.FromString(given)
            await check(tx)
            started = await self._long_work.start(tx, kind, request, caller.staff_id, request.request_id)
            await remember(tx, asked, started.SerializeToString())
        return started


class Building:
    """The handler of the operation that computes a night's cards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, run: Run) -> pb.BuildScoreCardsResponse:
        request = run.request
        assert isinstance(request, pb.BuildScoreCardsRequest)

        async def tell(done: int, total: int) -> bool:
            await run.progress(
                pb.BuildScoreCardsMetadata(business_date=request.business_date, done_count=done, total_count=total)
            )
            return not run.cancelled()

        day = wire.date_from_wire(request.business_date, "business_date")
        report = await build_score_cards(self._database, day, tell)
        return pb.BuildScoreCardsResponse(customer_count=report.customers, card_count=report.cards)


class Freezing:
    """The handler of the operation that freezes a month."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, run: Run) -> pb.FreezeScoreMonthResponse:
        request = run.request
        assert isinstance(request, pb.FreezeScoreMonthRequest)

        async def tell(done: int, total: int) -> bool:
            await run.progress(pb.FreezeScoreMonthMetadata(done_count=done, total_count=total))
            return not run.cancelled()

        first = convert.month_from_name(request.name)
        month = await freeze_month(self._database, first, run.caller_id, tell)
        return pb.FreezeScoreMonthResponse(score_month=convert.month_to_wire(month) if month else None)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)


def _ranking(request: pb.ListScoreCardsRequest) -> Ranking:
    branch_id = names.parse_one("branches", request.parent, "parent")
    month = convert.month_start(wire.date_from_wire(request.month_date, "month_date"), "month_date")
    if request.kind == pb.ListScoreCardsRequest.KIND_UNSPECIFIED:
        raise invalid_field("kind", "is required")
    whole_branches = request.kind == pb.ListScoreCardsRequest.KIND_BRANCH
    return Ranking(month, (branch_id,), whole_branches, convert.indicator_from_wire(request.order_by))


def _after(key: tuple[paging.KeyPart, ...]) -> After:
    value, branch_id, staff_id = key
    return After(None if value is None else int(value), str(branch_id), str(staff_id))
