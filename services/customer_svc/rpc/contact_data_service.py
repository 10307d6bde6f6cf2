"""The servicer of ContactDataService."""

from typing import cast

from banyan.customer.v1 import contact_data_service_pb2 as pb
from banyan.customer.v1 import contact_data_service_pb2_grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, wire
from chassis.caller import current_caller
from chassis.data_keys import DataKeys
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.unmasking import Purpose, Unmasked, Unmasking
from services.customer_svc.rpc import convert
from services.customer_svc.usecases.unmask_contact_data import unmask_contact_data


class ContactDataServicer(contact_data_service_pb2_grpc.ContactDataServiceServicer):
    def __init__(self, database: Database, keys: DataKeys) -> None:
        self._database = database
        self._keys = keys

    async def UnmaskContactData(
        self, request: pb.UnmaskContactDataRequest, _context: Context
    ) -> pb.UnmaskContactDataResponse:
        purpose = pb.UnmaskPurpose.Name(request.purpose).removeprefix("UNMASK_PURPOSE_")
        unmasking = Unmasking(
            names.parse_one("customers", request.name),
            cast("Purpose", purpose),
            request.reason.strip() or None,
            request.request_id,
        )
        reading = convert.reading_of(current_caller(), "UnmaskContactData")

        async def work(tx: AsyncConnection) -> Unmasked:
            return await unmask_contact_data(tx, unmasking, reading, self._keys)

        # Committed, so on the disk, before anybody sees it. No answer is kept to be given again: it is in clear.
        shown = await self._database.repeat(work)
        return pb.UnmaskContactDataResponse(
            id_number=shown.contact_data.id_number,
            mobile=shown.contact_data.mobile,
            remaining_count=shown.remaining,
            expire_time=wire.time_to_wire(shown.expire_time),
        )
