"""The servicer of ContactRoomService."""

from collections.abc import AsyncIterator

from banyan.campaign.v1 import contact_room_pb2, contact_room_service_pb2_grpc
from banyan.campaign.v1 import contact_room_service_pb2 as pb

from chassis import names, paging, wire
from chassis.caller import current_caller
from chassis.errors import not_found
from chassis.feed import Publisher
from chassis.sql.engine import Database
from chassis.streams import Context
from services.campaign_svc.domain.contact_room import ContactPolicy, ContactRoom
from services.campaign_svc.rpc import convert, convert_room
from services.campaign_svc.store import contact_rooms
from services.campaign_svc.usecases.contact_rooms import get_contact_room

# Versions are numbers of at most nine digits; what is none exists as little as one that was never made.
_VERSION_DIGITS_MAX = 9


class ContactRoomServicer(contact_room_service_pb2_grpc.ContactRoomServiceServicer):
    def __init__(self, database: Database, rooms: Publisher[ContactRoom | ContactPolicy], paging_secret: bytes) -> None:
        self._database = database
        self._rooms = rooms
        self._paging_secret = paging_secret

    async def GetContactRoom(
        self, request: pb.GetContactRoomRequest, _context: Context
    ) -> contact_room_pb2.ContactRoom:
        (customer_id,) = names.parse("customers/*/contactRoom", request.name)
        reading = convert.reading_of(current_caller(), "GetContactRoom")
        async with self._database.read() as tx:
            return convert_room.room_to_wire(await get_contact_room(tx, reading, customer_id))

    async def GetContactPolicy(
        self, request: pb.GetContactPolicyRequest, _context: Context
    ) -> contact_room_pb2.ContactPolicy:
        version = names.parse_one("contactPolicies", request.name)
        if not (version.isascii() and version.isdigit() and len(version) <= _VERSION_DIGITS_MAX):
            raise not_found()
        async with self._database.read() as tx:
            found = await contact_rooms.read_policies(tx, [int(version)])
        if not found:
            raise not_found()
        return convert_room.policy_to_wire(found[0])

    async def ListContactPolicies(
        self, request: pb.ListContactPoliciesRequest, _context: Context
    ) -> pb.ListContactPoliciesResponse:
        size = paging.page_size(request.page_size)
        before = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as tx:
            found = await contact_rooms.page_of_policies(tx, int(str(before[0])) if before else None, size + 1)
        more = len(found) > size
        token = paging.encode([found[size - 1].version], request, self._paging_secret) if more else ""
        return pb.ListContactPoliciesResponse(
            contact_policies=[convert_room.policy_to_wire(policy) for policy in found[:size]], next_page_token=token
        )

    async def WatchContactRoomChanges(
        self, request: pb.WatchContactRoomChangesRequest, _context: Context
    ) -> AsyncIterator[pb.WatchContactRoomChangesResponse]:
        async for page in self._rooms.watch(request.resume_token):
            for part in page.parts(convert_room.change_to_wire):
                yield pb.WatchContactRoomChangesResponse(
                    changes=part.items,
                    resume_token=part.resume_token,
                    caught_up=part.caught_up,
                    source_time=wire.time_to_wire(part.source_time),
                )
