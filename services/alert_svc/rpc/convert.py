"""The only translator between the wire and the values of alert_svc."""

from datetime import date

from banyan.alert.v1 import alert_pb2, alert_service_pb2, transaction_pb2, transaction_service_pb2

from chassis import names, wire
from chassis.caller import Caller, current_request_id
from chassis.money import money_to_wire
from chassis.paging import KeyPart
from services.alert_svc.domain.alerts import Kind, State
from services.alert_svc.domain.transactions import Direction, Rejection, Transaction
from services.alert_svc.domain.viewing import Reading, Viewer
from services.alert_svc.store.alerts import Alert, Wanted
from services.alert_svc.usecases.ingest import Ingested

_DIRECTIONS = {transaction_pb2.DIRECTION_IN: Direction.IN, transaction_pb2.DIRECTION_OUT: Direction.OUT}


def viewer_of(caller: Caller) -> Viewer:
    return Viewer(caller.staff_id, caller.branch_id, frozenset(role.value for role in caller.roles))


def reading_of(caller: Caller, method: str) -> Reading:
    """What the audit is told of a call that reads."""
    return Reading(viewer_of(caller), current_request_id(), method)


def transaction_from_wire(sent: transaction_pb2.Transaction) -> Transaction:
    return Transaction(
        transaction_id=sent.transaction,
        account_id=sent.account,
        event_time=wire.time_from_wire(sent.event_time, "event_time") if sent.HasField("event_time") else None,
        direction=_DIRECTIONS.get(sent.direction),
        amount_minor=sent.amount_minor,
        operation=sent.operation,
        counterparty_bank=sent.counterparty_bank,
        counterparty_account=sent.counterparty_account,
        standing_order=sent.standing_order,
        own_transfer=sent.own_transfer,
        reversed_transaction_id=sent.reversed_transaction,
    )


def ingested_to_wire(batch: int, ingested: Ingested) -> transaction_service_pb2.IngestTransactionsResponse:
    return transaction_service_pb2.IngestTransactionsResponse(
        batch=batch,
        stored_count=ingested.stored_count,
        duplicate_count=ingested.duplicate_count,
        rejections=map(_rejection_to_wire, ingested.rejections),
    )


def _rejection_to_wire(rejection: Rejection) -> transaction_service_pb2.Rejection:
    return transaction_service_pb2.Rejection(
        transaction=rejection.transaction_id,
        reason=f"REASON_{rejection.reason}",
        field=rejection.field,
    )


def wanted_from_wire(request: alert_service_pb2.ListAlertsRequest) -> Wanted:
    return Wanted(
        state=State(alert_pb2.Alert.State.Name(request.state).removeprefix("STATE_")) if request.state else None,
        kind=Kind(alert_pb2.AlertKind.Name(request.kind).removeprefix("ALERT_KIND_")) if request.kind else None,
        customer_id=names.parse_optional("customers", request.customer, "customer"),
        business_date_min=wire.date_from_wire_or_none(request.business_date_min, "business_date_min"),
        business_date_max=wire.date_from_wire_or_none(request.business_date_max, "business_date_max"),
    )


def place_from_token(key: tuple[KeyPart, ...] | None) -> tuple[date, str] | None:
    """The place in the list of alerts that a page token stands for."""
    return None if key is None else (date.fromisoformat(str(key[0])), str(key[1]))


def alert_to_wire(alert: Alert, currency: str) -> alert_pb2.Alert:
    return alert_pb2.Alert(
        name=names.make("alerts", alert.alert_id),
        kind=f"ALERT_KIND_{alert.key.kind}",
        customer=names.make("customers", alert.key.customer_id),
        branch=names.make("branches", alert.branch_id),
        manager=names.make("staff", alert.manager_id),
        business_date=wire.date_to_wire(alert.key.business_date),
        state=f"STATE_{alert.state}",
        transaction_count=alert.transaction_count,
        sum=money_to_wire(alert.sum_minor, currency),
        largest=money_to_wire(alert.largest_minor, currency),
        threshold=money_to_wire(alert.threshold_minor, currency),
        event_time=wire.time_to_wire(alert.event_time),
        create_time=wire.time_to_wire(alert.create_time),
        update_time=wire.time_to_wire(alert.update_time),
        private_manager=names.make("staff", alert.private_manager_id),
    )
