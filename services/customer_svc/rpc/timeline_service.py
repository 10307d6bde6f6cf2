"""The servicer of TimelineService."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from banyan.customer.v1 import timeline_pb2, timeline_service_pb2_grpc
from banyan.customer.v1 import timeline_service_pb2 as pb

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.series import MonthBalance
from services.customer_svc.domain.timeline import Entry, Kind, Place, Wanted
from services.customer_svc.peers.timeline import AskEntries
from services.customer_svc.rpc import convert
from services.customer_svc.rpc.convert_business import money
from services.customer_svc.rpc.convert_parts import missing_to_wire
from services.customer_svc.usecases import timeline

PAGE_SIZE_MAX = 200


class TimelineServicer(timeline_service_pb2_grpc.TimelineServiceServicer):
    def __init__(self, database: Database, ask: AskEntries, paging_secret: bytes, currency: str) -> None:
        self._database = database
        self._ask = ask
        self._paging_secret = paging_secret
        self._currency = currency

    async def ListTimelineEntries(
        self, request: pb.ListTimelineEntriesRequest, _context: Context
    ) -> pb.ListTimelineEntriesResponse:
        size = paging.page_size(request.page_size, most=PAGE_SIZE_MAX)
        key = paging.decode(request.page_token, request, self._paging_secret)
        customer_id = names.parse_one("customers", request.parent, "parent")
        after = None if key is None else (datetime.fromisoformat(str(key[0])), int(str(key[1])), str(key[2]))
        wanted = _wanted(request, size, after)
        reading = convert.reading_of(current_caller(), "ListTimelineEntries")
        found = await timeline.list_timeline(self._database, self._ask, reading, customer_id, wanted)
        token = ""
        if found.more:
            at, kind, entry_key = found.entries[-1].place
            place = [at.astimezone(UTC).isoformat(), int(kind), entry_key]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListTimelineEntriesResponse(
            timeline_entries=[_entry_to_wire(entry, self._currency) for entry in found.entries],
            next_page_token=token,
            missing_parts=map(missing_to_wire, found.missing),
        )

    async def GetBalanceSeries(
        self, request: pb.GetBalanceSeriesRequest, _context: Context
    ) -> timeline_pb2.BalanceSeries:
        (customer_id,) = names.parse("customers/*/balanceSeries", request.name)
        reading = convert.reading_of(current_caller(), "GetBalanceSeries")
        async with self._database.read() as conn:
            found = await timeline.get_balance_series(conn, reading, customer_id)
        return timeline_pb2.BalanceSeries(
            name=request.name,
            total=self._months(found.total or ()),
            own=self._months(found.own),
            own_branch=names.make("branches", found.own_branch_id),
            business_date=wire.date_to_wire(found.business_date),
            masked_fields=["total"] if found.total is None else [],
        )

    def _months(self, months: Sequence[MonthBalance]) -> list[timeline_pb2.MonthBalance]:
        return [
            timeline_pb2.MonthBalance(
                month_date=wire.date_to_wire(month.month_date),
                end_balance=money(month.end_minor, self._currency),
                average_balance=money(month.average_minor, self._currency),
            )
            for month in months
        ]


def _wanted(request: pb.ListTimelineEntriesRequest, limit: int, after: Place | None) -> Wanted:
    kinds = frozenset(Kind(kind) for kind in request.kinds) or frozenset(Kind)
    return Wanted(kinds, limit, _time(request, "event_time_min"), _time(request, "event_time_max"), after)


def _time(request: Any, field: str) -> datetime | None:  # noqa: ANN401 -- any message with such a field
    return wire.time_from_wire(getattr(request, field), field) if request.HasField(field) else None


def _entry_to_wire(entry: Entry, currency: str) -> timeline_pb2.TimelineEntry:
    return timeline_pb2.TimelineEntry(
        kind=f"TIMELINE_KIND_{entry.kind.name}",
        event_date=wire.date_to_wire(entry.event_date),
        event_time=wire.time_to_wire(entry.event_time),
        branch=names.make("branches", entry.branch_id),
        subject=entry.subject,
        detail=entry.detail,
        amount=money(entry.amount_minor, currency),
        text=entry.text,
        actor=entry.actor,
    )
