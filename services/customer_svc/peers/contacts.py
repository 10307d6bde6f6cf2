"""A customer's contacts, as campaign_svc shows them to the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import grpc
from banyan.campaign.v1 import contact_pb2, contact_service_pb2, contact_service_pb2_grpc

from chassis import wire
from services.customer_svc.domain.parts import Contact

CONTACT_SERVICE = "banyan.campaign.v1.ContactService"


@dataclass(frozen=True)
class ContactPage:
    """The youngest contacts of a span of time; `next_token` asks for those before them."""

    contacts: Sequence[Contact]
    next_token: str


@dataclass(frozen=True)
class Span:
    """From one instant on, and before another; None is open."""

    since: datetime | None = None
    until: datetime | None = None


async def list_contacts(  # noqa: PLR0913, PLR0917 -- which page of whose, and how long it may take
    channel: grpc.aio.Channel, customer_id: str, limit: int, seconds: float, span: Span = Span(), token: str = ""
) -> ContactPage:
    """A page of a customer's contacts, the youngest first."""
    stub = contact_service_pb2_grpc.ContactServiceStub(channel)
    request = contact_service_pb2.ListContactsRequest(
        parent=f"customers/{customer_id}",
        contact_time_min=wire.time_to_wire(span.since),
        contact_time_max=wire.time_to_wire(span.until),
        page_size=limit,
        page_token=token,
    )
    answer: contact_service_pb2.ListContactsResponse = await stub.ListContacts(request, timeout=seconds)
    return ContactPage([_contact(contact) for contact in answer.contacts], answer.next_page_token)


def _contact(contact: contact_pb2.Contact) -> Contact:
    return Contact(
        contact.name,
        contact_pb2.Channel.Name(contact.channel).removeprefix("CHANNEL_"),
        wire.time_from_wire(contact.contact_time, "contact_time"),
        contact_pb2.Contact.State.Name(contact.state).removeprefix("STATE_"),
        contact.product,
        contact.campaign,
        contact.outcome,
        contact.actor,
    )
