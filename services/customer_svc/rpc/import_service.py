"""The servicer of ImportService: the chassis' own, and a wake-up for those who follow customer facts."""

from collections.abc import AsyncIterator

from banyan.customer.v1 import import_service_pb2 as pb
from google.protobuf.message import Message

from chassis.import_servicer import ImportServicer
from chassis.sql.bulk import BulkImport
from chassis.streams import Context
from chassis.wakeups import Wakeups
from services.customer_svc.store.facts import FEED


class CustomerImportServicer(ImportServicer):
    def __init__(self, bulk: BulkImport, wakeups: Wakeups) -> None:
        super().__init__(bulk, pb.ImportRowsResponse)
        self._wakeups = wakeups

    async def ImportRows(self, requests: AsyncIterator[pb.ImportRowsRequest], _context: Context) -> Message:
        response = await super().ImportRows(requests, _context)
        await self._wakeups.notify(FEED)
        return response
