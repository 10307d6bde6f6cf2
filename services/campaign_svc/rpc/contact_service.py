"""The servicer of ContactService."""

from functools import partial

from banyan.campaign.v1 import contact_pb2, contact_service_pb2_grpc
from banyan.campaign.v1 import contact_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import Caller, current_caller
from chassis.sql.engine import Database
from chassis.sql.idempotency import Asked, answer_given, remember
from chassis.streams import Context
from services.campaign_svc.rpc import convert
from services.campaign_svc.usecases.contacts import get_contact, list_contacts, must_see, record_contact

_RECORD = "RecordContact"


class ContactServicer(contact_service_pb2_grpc.ContactServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def RecordContact(self, request: pb.RecordContactRequest, _context: Context) -> contact_pb2.Contact:
        return await self._database.repeat(partial(_record_once, request=request, caller=current_caller()))

    async def GetContact(self, request: pb.GetContactRequest, _context: Context) -> contact_pb2.Contact:
        customer_id, contact_id = names.parse("customers/*/contacts/*", request.name)
        async with self._database.read() as tx:
            reading = convert.reading_of(current_caller(), "GetContact")
            found = await get_contact(tx, reading, customer_id, contact_id)
        return convert.contact_to_wire(found)

    async def ListContacts(self, request: pb.ListContactsRequest, _context: Context) -> pb.ListContactsResponse:
        size = paging.page_size(request.page_size)
        before = convert.place_from_token(paging.decode(request.page_token, request, self._paging_secret))
        wanted = convert.wanted_from_wire(request)
        async with self._database.read() as tx:
            reading = convert.reading_of(current_caller(), "ListContacts")
            found = await list_contacts(tx, reading, wanted, before, size)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = paging.encode([last.made.contact_time.isoformat(), last.contact_id], request, self._paging_secret)
        return pb.ListContactsResponse(
            contacts=[convert.contact_to_wire(contact) for contact in found[:size]], next_page_token=token
        )


async def _record_once(tx: AsyncConnection, request: pb.RecordContactRequest, caller: Caller) -> contact_pb2.Contact:
    made = convert.made_from_wire(request)
    # Before the answer of an earlier call: who may no longer see the customer does not get it again.
    await must_see(tx, convert.viewer_of(caller), made.customer_id)
    asked = Asked(request.request_id, caller.staff_id, _RECORD, request.SerializeToString(deterministic=True))
    earlier = await answer_given(tx, asked)
    if earlier is not None:
        return contact_pb2.Contact.FromString(earlier)
    contact = convert.contact_to_wire(await record_contact(tx, convert.viewer_of(caller), made))
    await remember(tx, asked, contact.SerializeToString())
    return contact
