"""The servicer of AlertService."""

from collections.abc import AsyncIterator

from banyan.alert.v1 import alert_pb2, alert_service_pb2_grpc
from banyan.alert.v1 import alert_service_pb2 as pb

from chassis import names, paging
from chassis.caller import current_caller
from chassis.feed import Publisher, Wakeups
from chassis.sql.engine import Database
from chassis.streams import Context
from services.alert_svc.rpc import convert
from services.alert_svc.rpc.transaction_service import ALERTS
from services.alert_svc.store import alerts
from services.alert_svc.usecases.alerts import Watch, get_alert, list_alerts


class AlertServicer(alert_service_pb2_grpc.AlertServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups, paging_secret: bytes, currency: str) -> None:
        self._database = database
        # One for all watchers: who waits at the same place shares a poll.
        self._changes = Publisher(database, ALERTS, alerts.changed_page, wakeups)
        self._paging_secret = paging_secret
        self._currency = currency

    async def GetAlert(self, request: pb.GetAlertRequest, _context: Context) -> alert_pb2.Alert:
        alert_id = names.parse_one("alerts", request.name)
        async with self._database.read() as tx:
            found = await get_alert(tx, convert.reading_of(current_caller(), "GetAlert"), alert_id)
        return convert.alert_to_wire(found, self._currency)

    async def ListAlerts(self, request: pb.ListAlertsRequest, _context: Context) -> pb.ListAlertsResponse:
        size = paging.page_size(request.page_size)
        after = convert.place_from_token(paging.decode(request.page_token, request, self._paging_secret))
        wanted = convert.wanted_from_wire(request)
        async with self._database.read() as tx:
            found = await list_alerts(tx, convert.reading_of(current_caller(), "ListAlerts"), wanted, after, size)
        shown = found[:size]
        token = ""
        if len(found) > size:
            key = [shown[-1].key.business_date.isoformat(), shown[-1].alert_id]
            token = paging.encode(key, request, self._paging_secret)
        return pb.ListAlertsResponse(
            alerts=[convert.alert_to_wire(alert, self._currency) for alert in shown], next_page_token=token
        )

    async def WatchAlerts(
        self, request: pb.WatchAlertsRequest, _context: Context
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        watch = Watch(self._database, convert.reading_of(current_caller(), "WatchAlerts"))
        first = True
        async for page in self._changes.watch(request.resume_token or await self._changes.now()):
            shown = await watch.shown(page.items)
            # The first message and heartbeats go out empty too; what concerns others is passed over in silence.
            if shown or first or not page.items:
                first = False
                yield pb.WatchAlertsResponse(
                    alerts=[convert.alert_to_wire(alert, self._currency) for alert in shown],
                    resume_token=page.resume_token,
                )
