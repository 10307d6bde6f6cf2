"""The servicer of PersonalDataService: as the chassis does it, and what an erasure means for contacts."""

from functools import partial

from banyan.campaign.v1 import personal_data_service_pb2 as pb

from chassis import names
from chassis.feed import Wakeups
from chassis.personal_data_servicer import PersonalDataServicer
from chassis.sql.engine import Database
from chassis.streams import Context
from services.campaign_svc.store import contact_rooms
from services.campaign_svc.store.personal_data import TABLES, suppress_contacts


class CampaignPersonalDataServicer(PersonalDataServicer):
    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._notify = partial(wakeups.notify, contact_rooms.FEED)
        super().__init__(database, TABLES, pb, suppress_contacts, self._notify)

    async def SuppressContacts(
        self, request: pb.SuppressContactsRequest, _context: Context
    ) -> pb.SuppressContactsResponse:
        customer_id = names.parse_one("customers", request.name)
        await self._database.repeat(lambda tx: suppress_contacts(tx, customer_id))
        await self._notify()
        return pb.SuppressContactsResponse()
