"""Alerts about a customer, as alert_svc shows them to the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import grpc
from banyan.alert.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc

from chassis import names, wire
from chassis.money import money_from_wire
from services.customer_svc.domain.parts import Alert

ALERT_SERVICE = "banyan.alert.v1.AlertService"


@dataclass(frozen=True)
class AlertPage:
    """The youngest alerts of some days; `next_token` asks for those before them."""

    alerts: Sequence[Alert]
    next_token: str


@dataclass(frozen=True)
class Days:
    """From one business date on up to another; None is open."""

    since: date | None = None
    until: date | None = None


async def list_alerts(  # noqa: PLR0913, PLR0917 -- which page of whose, and how long it may take
    channel: grpc.aio.Channel, customer_id: str, limit: int, seconds: float, days: Days = Days(), token: str = ""
) -> AlertPage:
    """A page of the caller's alerts about a customer, the youngest business date first."""
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    request = alert_service_pb2.ListAlertsRequest(
        customer=f"customers/{customer_id}",
        business_date_min=wire.date_to_wire(days.since),
        business_date_max=wire.date_to_wire(days.until),
        page_size=limit,
        page_token=token,
    )
    answer: alert_service_pb2.ListAlertsResponse = await stub.ListAlerts(request, timeout=seconds)
    return AlertPage([_alert(alert) for alert in answer.alerts], answer.next_page_token)


def _alert(alert: alert_pb2.Alert) -> Alert:
    return Alert(
        alert.name,
        alert_pb2.AlertKind.Name(alert.kind).removeprefix("ALERT_KIND_"),
        alert_pb2.Alert.State.Name(alert.state).removeprefix("STATE_"),
        names.parse_optional("branches", alert.branch, "branch"),
        wire.date_from_wire(alert.business_date, "business_date"),
        wire.time_from_wire(alert.event_time, "event_time"),
        money_from_wire(alert.sum, alert.sum.currency_code, "sum") if alert.HasField("sum") else None,
    )
