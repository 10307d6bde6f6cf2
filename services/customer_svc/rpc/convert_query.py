"""Orders, facets, pages and counts of queries between the wire and the values of customer_svc."""

from collections.abc import Sequence
from datetime import date, datetime

from banyan.customer.v1 import customer_service_pb2 as pb

from chassis.errors import invalid_field
from chassis.paging import KeyPart
from services.customer_svc.domain.counts import FacetCounts
from services.customer_svc.domain.query import ORDERS, Facet, Order, OrderField, OrderValue, Position
from services.customer_svc.rpc.convert_conditions import conditions_from_wire
from services.customer_svc.usecases.search_customers import Start

__all__ = [
    "conditions_from_wire",
    "confinement_to_wire",
    "facet_to_wire",
    "facets_from_wire",
    "order_from_wire",
    "start_from_key",
    "start_to_key",
]


def order_from_wire(sent: pb.CustomerOrder) -> Order:
    """An order; none means that by id."""
    if not sent.field:
        return Order(descending=sent.descending)
    return Order(OrderField(pb.CustomerOrder.Field.Name(sent.field).removeprefix("FIELD_")), sent.descending)


def facets_from_wire(sent: Sequence[pb.CustomerFacet]) -> list[Facet]:
    """The facets that are asked for. Refuses one that is named twice."""
    found: list[Facet] = []
    for index, number in enumerate(sent):
        facet = Facet(pb.CustomerFacet.Name(number).removeprefix("CUSTOMER_FACET_"))
        if facet in found:
            raise invalid_field(f"facets[{index}]", "is named before")
        found.append(facet)
    return found


def facet_to_wire(facet: Facet, counts: FacetCounts) -> pb.FacetCounts:
    """A facet's counts."""
    values = [
        pb.FacetValue(value=value, customer_count=told.number, customer_count_text=told.text)
        for value, told in counts.values
    ]
    return pb.FacetCounts(
        facet=f"CUSTOMER_FACET_{facet}",
        values=values,
        other_count=counts.other.number,
        other_count_text=counts.other.text,
    )


def confinement_to_wire(*, confined: bool) -> pb.Confinement:
    """What an answer was confined to."""
    return pb.CONFINEMENT_PRIMARY if confined else pb.CONFINEMENT_UNSPECIFIED


def start_to_key(start: Start) -> list[KeyPart]:
    """Where the next page starts, as a page token keeps it."""
    value = start.after.value
    return [value.isoformat() if isinstance(value, date) else value, start.after.customer_id, start.left_out]


def start_from_key(key: Sequence[KeyPart] | None, order: Order) -> Start | None:
    """What `start_to_key` made; the token that carried it is known to be ours."""
    if key is None:
        return None
    value, customer_id, left_out = key
    return Start(Position(_order_value(value, order), str(customer_id)), int(left_out or 0))


def _order_value(kept: KeyPart, order: Order) -> OrderValue:
    if kept is None:
        return None
    kind = ORDERS[order.field].kind
    if issubclass(kind, datetime):
        return datetime.fromisoformat(str(kept))
    return date.fromisoformat(str(kept)) if issubclass(kind, date) else kept
