"""The servicer of AlertService."""

from collections.abc import AsyncIterator
from functools import partial

from banyan.alert.v1 import alert_pb2, alert_service_pb2_grpc
from banyan.alert.v1 import alert_service_pb2 as pb
from chassis.feed import Publisher, Wakeups

from chassis import names, paging
from chassis.caller import current_caller
from chassis.sql.engine import Database
from chassis.streams import Context
from services.alert_svc.rpc import convert
from services.alert_svc.rpc.transaction_service import ALERTS
from services.alert_svc.store import alerts
from services.alert_svc.usecases.alerts import get_alert, list_alerts, scope


class AlertServicer(alert_service_pb2_grpc.AlertServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups, paging_secret: bytes, currency: str) -> None:
        self._database = database
        self._wakeups = wakeups
        self._paging_secret = paging_secret
        self._currency = currency

    async def GetAlert(self, request: pb.GetAlertRequest, _context: Context) -> alert_pb2.Alert:
        alert_id = names.parse_one("alerts", request.name)
        async with self._database.read() as tx:
            found = await get_alert(tx, convert.viewer_of(current_caller()), alert_id)
        return convert.alert_to_wire(found, self._currency)

    async def ListAlerts(self, request: pb.ListAlertsRequest, _context: Context) -> pb.ListAlertsResponse:
        size = paging.page_size(request.page_size)
        after = convert.place_from_token(paging.decode(request.page_token, request, self._paging_secret))
        wanted = convert.wanted_from_wire(request)
        async with self._database.read() as tx:
            found = await list_alerts(tx, convert.viewer_of(current_caller()), wanted, after, size + 1)
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
        async with self._database.read() as tx:
            seen = await scope(tx, convert.viewer_of(current_caller()))
        publisher = Publisher(self._database, ALERTS, partial(alerts.changed_page, scope=seen), self._wakeups)
        async for page in publisher.watch(request.resume_token or await publisher.now()):
            yield pb.WatchAlertsResponse(
                alerts=[convert.alert_to_wire(alert, self._currency) for alert in page.items],
                resume_token=page.resume_token,
            )
