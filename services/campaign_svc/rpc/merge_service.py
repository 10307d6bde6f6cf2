"""The servicer of MergeService: campaign_svc's part in making one customer of two."""

from banyan.campaign.v1 import merge_service_pb2 as pb
from banyan.campaign.v1 import merge_service_pb2_grpc

from chassis import names
from chassis.errors import invalid_field
from chassis.feed import Wakeups
from chassis.sql.engine import Database
from chassis.sql.merging import Merging
from chassis.streams import Context
from services.campaign_svc.store import contact_rooms
from services.campaign_svc.usecases.merge_contacts import merge_contacts, undo_merge_contacts


class MergeServicer(merge_service_pb2_grpc.MergeServiceServicer):
    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups

    async def MergeContacts(self, request: pb.MergeContactsRequest, _context: Context) -> pb.MergeContactsResponse:
        counts = await merge_contacts(self._database, _merging(request), validate_only=request.validate_only)
        await self._wakeups.notify(contact_rooms.FEED)
        return pb.MergeContactsResponse(
            contact_count=counts.get("contacts", 0),
            consent_count=counts.get("consents", 0),
            opt_out_count=counts.get("opt_outs", 0),
        )

    async def UndoMergeContacts(
        self, request: pb.UndoMergeContactsRequest, _context: Context
    ) -> pb.UndoMergeContactsResponse:
        merging = _merging(request)
        counts = await self._database.repeat(lambda tx: undo_merge_contacts(tx, merging))
        await self._wakeups.notify(contact_rooms.FEED)
        return pb.UndoMergeContactsResponse(contact_count=counts.get("contacts", 0))


def _merging(request: pb.MergeContactsRequest | pb.UndoMergeContactsRequest) -> Merging:
    survivor_id = names.parse_one("customers", request.parent, "parent")
    merged_id = names.parse_one("customers", request.merged_customer, "merged_customer")
    if merged_id == survivor_id:
        raise invalid_field("merged_customer", "must be another one than the survivor")
    return Merging(names.parse_one("merges", request.merge, "merge"), survivor_id, merged_id)
