"""Queries between the wire and the values of customer_svc."""

from collections.abc import Sequence
from datetime import date

from banyan.customer.v1 import customer_condition_pb2, customer_pb2, customer_service_pb2
from google.type.date_pb2 import Date

from chassis import names, wire
from chassis.errors import invalid_field
from chassis.money import money_from_wire
from chassis.paging import KeyPart
from services.customer_svc.domain.query import (
    Condition,
    DepositCondition,
    IdentityCondition,
    Order,
    OrderField,
    OwnershipCondition,
    Position,
)
from services.customer_svc.domain.viewing import Side
from services.customer_svc.usecases.search_customers import Start

_SIDES: dict[int, Side] = {customer_pb2.SIDE_PRIMARY: "PRIMARY", customer_pb2.SIDE_SECONDARY: "SECONDARY"}
_ORDER_FIELDS = {
    customer_service_pb2.CustomerOrder.FIELD_UNSPECIFIED: OrderField.CUSTOMER,
    customer_service_pb2.CustomerOrder.FIELD_CUSTOMER: OrderField.CUSTOMER,
    customer_service_pb2.CustomerOrder.FIELD_DISPLAY_NAME: OrderField.DISPLAY_NAME,
    customer_service_pb2.CustomerOrder.FIELD_CUSTOMER_SINCE: OrderField.CUSTOMER_SINCE,
    customer_service_pb2.CustomerOrder.FIELD_OWN_DEPOSIT_AVERAGE: OrderField.OWN_DEPOSIT_AVERAGE,
    customer_service_pb2.CustomerOrder.FIELD_TOTAL_DEPOSIT_AVERAGE: OrderField.TOTAL_DEPOSIT_AVERAGE,
}


def conditions_from_wire(
    sent: Sequence[customer_condition_pb2.CustomerCondition], currency: str
) -> tuple[Condition, ...]:
    """Conditions in their order. Refuses one that carries nothing."""
    return tuple(_condition(condition, f"conditions[{index}]", currency) for index, condition in enumerate(sent))


def order_from_wire(sent: customer_service_pb2.CustomerOrder) -> Order:
    return Order(_ORDER_FIELDS[sent.field], sent.descending)


def start_to_key(start: Start) -> list[KeyPart]:
    """Where the next page starts, as a page token keeps it."""
    value = start.after.value
    return [value.isoformat() if isinstance(value, date) else value, start.after.customer_id, start.left_out]


def start_from_key(key: Sequence[KeyPart] | None, order: Order) -> Start | None:
    """What `start_to_key` made; the token that carried it is known to be ours."""
    if key is None:
        return None
    value, customer_id, left_out = key
    if order.field is OrderField.CUSTOMER_SINCE and value is not None:
        value = date.fromisoformat(str(value))
    return Start(Position(value, str(customer_id)), int(left_out or 0))


def _condition(sent: customer_condition_pb2.CustomerCondition, path: str, currency: str) -> Condition:
    match sent.WhichOneof("condition"):
        case "identity":
            return _identity(sent.identity, f"{path}.identity")
        case "ownership":
            return _ownership(sent.ownership, f"{path}.ownership")
        case "deposit":
            return _deposit(sent.deposit, f"{path}.deposit", currency)
        case _:
            raise invalid_field(path, "must carry a condition")


def _identity(sent: customer_condition_pb2.IdentityCondition, path: str) -> IdentityCondition:
    return IdentityCondition(
        display_name_prefix=sent.display_name_prefix or None,
        id_number=sent.id_number or None,
        mobile=sent.mobile or None,
        sex=customer_pb2.Sex.Name(sent.sex).removeprefix("SEX_") if sent.sex else None,
        age_min=sent.age_min if sent.HasField("age_min") else None,
        age_max=sent.age_max if sent.HasField("age_max") else None,
        birthday_within_days=sent.birthday_within_days if sent.HasField("birthday_within_days") else None,
        residence_districts=tuple(sent.residence_districts),
        occupation=sent.occupation or None,
        customer_type=_customer_type(sent.customer_type),
        id_expiry_date_max=_day(sent.id_expiry_date_max, f"{path}.id_expiry_date_max"),
        customer_since_date_min=_day(sent.customer_since_date_min, f"{path}.customer_since_date_min"),
        customer_since_date_max=_day(sent.customer_since_date_max, f"{path}.customer_since_date_max"),
    )


def _customer_type(sent: int) -> str | None:
    return customer_pb2.CustomerType.Name(sent).removeprefix("CUSTOMER_TYPE_") if sent else None


def _ownership(sent: customer_condition_pb2.OwnershipCondition, path: str) -> OwnershipCondition:
    return OwnershipCondition(
        branch_id=names.parse_optional("branches", sent.branch, f"{path}.branch"),
        with_subtree=sent.with_subtree,
        side=_SIDES.get(sent.side),
        manager_id=names.parse_optional("staff", sent.manager, f"{path}.manager"),
        unassigned=sent.unassigned,
        since_date_min=_day(sent.since_date_min, f"{path}.since_date_min"),
        since_date_max=_day(sent.since_date_max, f"{path}.since_date_max"),
    )


def _deposit(sent: customer_condition_pb2.DepositCondition, path: str, currency: str) -> DepositCondition:
    def amount(name: str) -> int | None:
        return money_from_wire(getattr(sent, name), currency, f"{path}.{name}") if sent.HasField(name) else None

    due = sent.time_deposit_due_within_days if sent.HasField("time_deposit_due_within_days") else None
    return DepositCondition(
        whole_bank=sent.scope == customer_condition_pb2.DepositCondition.SCOPE_TOTAL,
        balance_min_minor=amount("balance_min"),
        balance_max_minor=amount("balance_max"),
        average_min_minor=amount("average_min"),
        average_max_minor=amount("average_max"),
        time_deposit_due_within_days=due,
    )


def _day(sent: Date, field: str) -> date | None:
    return wire.date_from_wire_or_none(sent, field)
