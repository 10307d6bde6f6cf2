"""The only translator between the wire and the values of campaign_svc."""

from datetime import datetime

from banyan.campaign.v1 import contact_pb2, contact_service_pb2, product_pb2

from chassis import names, wire
from chassis.caller import Caller, current_request_id
from chassis.paging import KeyPart
from services.campaign_svc.domain.contacts import Channel, Contact, Made, MessageClass
from services.campaign_svc.domain.viewing import Reading, Viewer
from services.campaign_svc.store.contacts import Wanted
from services.campaign_svc.store.products import Product


def viewer_of(caller: Caller) -> Viewer:
    return Viewer(caller.staff_id, caller.branch_id, frozenset(role.value for role in caller.roles))


def reading_of(caller: Caller, method: str) -> Reading:
    """What the audit is told of a call that reads."""
    return Reading(viewer_of(caller), current_request_id(), method)


def made_from_wire(request: contact_service_pb2.RecordContactRequest) -> Made:
    sent = request.contact
    return Made(
        customer_id=names.parse_one("customers", request.parent, "parent"),
        channel=Channel(contact_pb2.Channel.Name(sent.channel).removeprefix("CHANNEL_")),
        message_class=MessageClass(contact_pb2.MessageClass.Name(sent.message_class).removeprefix("MESSAGE_CLASS_")),
        contact_time=wire.time_from_wire(sent.contact_time, "contact.contact_time"),
        product_id=names.parse_optional("products", sent.product, "contact.product"),
        campaign_id=sent.campaign or None,
        outcome=sent.outcome or None,
    )


def wanted_from_wire(request: contact_service_pb2.ListContactsRequest) -> Wanted:
    earliest, latest = "contact_time_min", "contact_time_max"
    return Wanted(
        customer_id=names.parse_one("customers", request.parent, "parent"),
        channel=Channel(contact_pb2.Channel.Name(request.channel).removeprefix("CHANNEL_"))
        if request.channel
        else None,
        contact_time_min=wire.time_from_wire(request.contact_time_min, earliest)
        if request.HasField(earliest)
        else None,
        contact_time_max=wire.time_from_wire(request.contact_time_max, latest) if request.HasField(latest) else None,
    )


def place_from_token(key: tuple[KeyPart, ...] | None) -> tuple[datetime, str] | None:
    """The place in the list of contacts that a page token stands for."""
    return None if key is None else (datetime.fromisoformat(str(key[0])), str(key[1]))


def contact_to_wire(contact: Contact) -> contact_pb2.Contact:
    made = contact.made
    return contact_pb2.Contact(
        name=f"customers/{made.customer_id}/contacts/{contact.contact_id}",
        channel=f"CHANNEL_{made.channel}",
        message_class=f"MESSAGE_CLASS_{made.message_class}",
        contact_time=wire.time_to_wire(made.contact_time),
        state=f"STATE_{contact.state}",
        product=names.make("products", made.product_id),
        campaign=made.campaign_id or "",
        outcome=made.outcome or "",
        actor=contact.actor,
        create_time=wire.time_to_wire(contact.create_time),
    )


def product_to_wire(product: Product) -> product_pb2.Product:
    return product_pb2.Product(
        name=names.make("products", product.product_id),
        display_name=product.display_name,
        category=product.category,
        update_time=wire.time_to_wire(product.update_time),
    )
