"""The servicer of ExportService, and the long work that it starts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from banyan.customer.v1 import customer_group_pb2, export_pb2, export_service_pb2_grpc
from banyan.customer.v1 import export_service_pb2 as pb
from google.api.httpbody_pb2 import HttpBody
from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.data_keys import DataKeys
from chassis.errors import invalid_field
from chassis.once import Write, once
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.exports import Export, Format, Order
from services.customer_svc.rpc import convert, convert_groups
from services.customer_svc.store import exports
from services.customer_svc.usecases import export_customers
from services.customer_svc.usecases.export_customers import METHOD, Writing, write_export

_EXPORTS = convert_groups.EXPORTS
# The wheel ships no types for it.
operations: Any = operations_pb2


class ExportServicer(export_service_pb2_grpc.ExportServiceServicer):
    def __init__(
        self, database: Database, long_work: Operations, paging_secret: bytes, currency: str, keys: DataKeys
    ) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret
        self._currency = currency
        self._keys = keys

    async def ExportCustomers(self, request: pb.ExportCustomersRequest, _context: Context) -> Message:
        query = convert_groups.query_from_wire(_source(request), self._currency)
        file_format = Format(export_pb2.Export.Format.Name(request.format).removeprefix("FORMAT_"))
        order = Order(request.purpose, file_format, tuple(request.columns))
        reading = convert.reading_of(current_caller(), METHOD)

        async def work(tx: AsyncConnection) -> Message:
            staff_id = reading.viewer.staff_id
            started = await self._long_work.start(tx, METHOD, request, staff_id, request.request_id)
            export_id = names.parse_one("operations", started.name)
            await export_customers.order_export(tx, order, query, reading, export_id)
            return started

        return await once(self._database, Write(METHOD, request), operations.Operation, work)

    async def GetExport(self, request: pb.GetExportRequest, _context: Context) -> export_pb2.Export:
        return convert_groups.export_to_wire(await self._own(request.name))

    async def ListExports(self, request: pb.ListExportsRequest, _context: Context) -> pb.ListExportsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else None
        async with self._database.read() as conn:
            found = await exports.page(conn, current_caller().staff_id, before, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.create_time.astimezone(UTC).isoformat(), last.export_id]
            token = paging.encode(place, request, self._paging_secret)
        shown = map(convert_groups.export_to_wire, found[:size])
        return pb.ListExportsResponse(exports=shown, next_page_token=token)

    async def DownloadExport(self, request: pb.DownloadExportRequest, context: Context) -> AsyncIterator[HttpBody]:
        export = await self._own(request.name)
        reading = convert.reading_of(current_caller(), "DownloadExport", self._keys)
        is_first = True
        async for piece in export_customers.read_file(self._database, export, reading):
            if is_first:
                # The head goes out with the first piece, before anybody else sends it.
                disposition = f'attachment; filename="{export.file_name}"'
                await context.send_initial_metadata((("content-disposition", disposition),))
                is_first = False
            yield HttpBody(content_type=export.content_type, data=piece)

    async def DeleteExport(self, request: pb.DeleteExportRequest, _context: Context) -> Empty:
        export = await self._own(request.name)
        await export_customers.drop_export(self._database, export.export_id)
        return Empty()

    async def _own(self, name: str) -> Export:
        export_id = names.parse_one(_EXPORTS, name)
        async with self._database.read() as conn:
            return await export_customers.get_export(conn, export_id, convert.viewer_of(current_caller()))


class Exporting:
    """The handler of the operation: writes one file and tells how far it is."""

    def __init__(self, database: Database, keys: DataKeys, currency: str) -> None:
        self._database = database
        self._keys = keys
        self._currency = currency

    async def __call__(self, run: Run) -> export_pb2.Export:
        request = run.request
        assert isinstance(request, pb.ExportCustomersRequest)

        async def tell(done: int, total: int) -> bool:
            await run.progress(pb.ExportCustomersMetadata(done_count=done, total_count=total))
            return not run.cancelled()

        query = convert_groups.query_from_wire(_source(request), self._currency, self._keys)
        export = await write_export(Writing(self._database, self._keys, run.operation_id, query, tell))
        return convert_groups.export_to_wire(export) if export else export_pb2.Export()


def _source(request: pb.ExportCustomersRequest) -> customer_group_pb2.SavedQuery:
    """The query that finds whom the caller wants."""
    match request.WhichOneof("source"):
        case "query":
            return request.query
        case "customer_group":
            names.parse_one(convert_groups.COLLECTION, request.customer_group, "customer_group")
            return convert_groups.members_of(request.customer_group)
        case _:
            raise invalid_field("source", "is required: a query or a group")
