"""The servicer of PersonalDataService, and the long work that it starts."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, TypeVar

from banyan.customer.v1 import personal_data_pb2, personal_data_service_pb2_grpc
from banyan.customer.v1 import personal_data_service_pb2 as pb
from google.api.httpbody_pb2 import HttpBody
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.data_keys import DataKeys
from chassis.once import Write, once
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.erasure import Step
from services.customer_svc.domain.personal_data import PersonalExport
from services.customer_svc.rpc import convert, convert_tags
from services.customer_svc.rpc import convert_personal_data as to
from services.customer_svc.store.key_proposals import LAST_TIME
from services.customer_svc.usecases import erase_customer, export_personal_data
from services.customer_svc.usecases.erase_customer import Decision
from services.customer_svc.usecases.export_personal_data import METHOD, Peers, Writing
from services.customer_svc.usecases.primary_head import must_lead

# The wheel ships no types for it.
operations: Any = operations_pb2
R = TypeVar("R", pb.ApproveErasureResponse, pb.RefuseErasureResponse, pb.CancelErasureResponse)
# Stands for every customer in a parent.
_ANY = "-"


class PersonalDataServicer(personal_data_service_pb2_grpc.PersonalDataServiceServicer):
    def __init__(self, database: Database, long_work: Operations, paging_secret: bytes, keys: DataKeys) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret
        self._keys = keys

    async def ExportPersonalData(self, request: pb.ExportPersonalDataRequest, _context: Context) -> Message:
        customer_id = names.parse_one("customers", request.name)
        reading = convert.reading_of(current_caller(), METHOD)

        async def work(tx: AsyncConnection) -> Message:
            started = await self._long_work.start(tx, METHOD, request, reading.viewer.staff_id, request.request_id)
            export = customer_id, names.parse_one("operations", started.name)
            await export_personal_data.order_personal_data(tx, export, request.reference, reading)
            return started

        leads = partial(must_lead, viewer=reading.viewer, customer_id=customer_id)
        return await once(self._database, Write(METHOD, request, leads), operations.Operation, work)

    async def GetPersonalDataExport(
        self, request: pb.GetPersonalDataExportRequest, _context: Context
    ) -> personal_data_pb2.PersonalDataExport:
        return to.export_to_wire(await self._own(request.name))

    async def DownloadPersonalData(
        self, request: pb.DownloadPersonalDataRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        export = await self._own(request.name)
        reading = convert.reading_of(current_caller(), "DownloadPersonalData", self._keys)
        is_first = True
        async for piece in export_personal_data.read_personal_file(self._database, export, reading):
            if is_first:
                # The head goes out with the first piece, before anybody else sends it.
                disposition = f'attachment; filename="{export.file_name}"'
                await context.send_initial_metadata((("content-disposition", disposition),))
                is_first = False
            yield HttpBody(content_type="application/json", data=piece)

    async def EraseCustomer(self, request: pb.EraseCustomerRequest, _context: Context) -> pb.EraseCustomerResponse:
        customer_id = names.parse_one("customers", request.name)
        reading = convert.reading_of(current_caller(), "EraseCustomer")
        if request.validate_only:
            async with self._database.read() as conn:
                found = await erase_customer.try_erasure(conn, reading, customer_id, request.reference)
            foreseen = personal_data_pb2.Erasure(reference=request.reference, verdicts=map(to.verdict_to_wire, found))
            return pb.EraseCustomerResponse(erasure=foreseen)

        async def work(tx: AsyncConnection) -> pb.EraseCustomerResponse:
            made = await erase_customer.request_erasure(tx, reading, customer_id, request.reference)
            return pb.EraseCustomerResponse(erasure=to.erasure_to_wire(made))

        leads = partial(must_lead, viewer=reading.viewer, customer_id=customer_id)
        return await once(self._database, Write("EraseCustomer", request, leads), pb.EraseCustomerResponse, work)

    async def GetErasure(self, request: pb.GetErasureRequest, _context: Context) -> personal_data_pb2.Erasure:
        customer_id, erasure_id = names.parse(to.ERASURES, request.name)
        reading = convert.reading_of(current_caller(), "GetErasure")
        async with self._database.read() as conn:
            return to.erasure_to_wire(await erase_customer.get_erasure(conn, reading, customer_id, erasure_id))

    async def ListErasures(self, request: pb.ListErasuresRequest, _context: Context) -> pb.ListErasuresResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = convert_tags.place_from_key(key) if key else (LAST_TIME, "")
        customer_id = names.parse_one("customers", request.parent, "parent")
        wanted = ("" if customer_id == _ANY else customer_id, to.state_from_wire(request.state))
        reading = convert.reading_of(current_caller(), "ListErasures")
        async with self._database.read() as conn:
            found = await erase_customer.list_erasures(conn, reading, wanted, before, size)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.create_time.astimezone(UTC).isoformat(), last.erasure_id]
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListErasuresResponse(erasures=map(to.erasure_to_wire, found[:size]), next_page_token=token)

    async def ApproveErasure(self, request: pb.ApproveErasureRequest, _context: Context) -> pb.ApproveErasureResponse:
        return await self._decide(request, Step.APPROVE, pb.ApproveErasureResponse)

    async def RefuseErasure(self, request: pb.RefuseErasureRequest, _context: Context) -> pb.RefuseErasureResponse:
        return await self._decide(request, Step.REFUSE, pb.RefuseErasureResponse)

    async def CancelErasure(self, request: pb.CancelErasureRequest, _context: Context) -> pb.CancelErasureResponse:
        return await self._decide(request, Step.CANCEL, pb.CancelErasureResponse)

    async def _decide(self, request: Any, step: Step, response: type[R]) -> R:  # noqa: ANN401 -- one of three messages
        customer_id, erasure_id = names.parse(to.ERASURES, request.name)
        method = response.DESCRIPTOR.name.removesuffix("Response")
        reading = convert.reading_of(current_caller(), method)
        decision = Decision(customer_id, erasure_id, step, request.reason.strip())

        async def work(tx: AsyncConnection) -> R:
            decided = await erase_customer.decide_erasure(tx, reading, decision)
            return response(erasure=to.erasure_to_wire(decided))

        may = partial(erase_customer.must_decide, viewer=reading.viewer, customer_id=customer_id, step=step)
        return await once(self._database, Write(method, request, may), response, work)

    async def _own(self, name: str) -> PersonalExport:
        customer_id, export_id = names.parse(to.EXPORTS, name)
        viewer = convert.viewer_of(current_caller())
        async with self._database.read() as conn:
            return await export_personal_data.get_personal_data(conn, (customer_id, export_id), viewer)


@dataclass(frozen=True)
class ExportingPersonalData:
    """The handler of the operation: writes one file and tells which services' parts it has."""

    database: Database
    keys: DataKeys
    peers: Peers

    async def __call__(self, run: Run) -> Message:
        customer_id = names.parse_one("customers", run.request.name)

        async def tell(services: Sequence[str]) -> bool:
            await run.progress(pb.ExportPersonalDataMetadata(read_services=services))
            return not run.cancelled()

        writing = Writing(self.database, self.keys, self.peers, (customer_id, run.operation_id), tell)
        export = await export_personal_data.write_personal_data(writing)
        return to.export_to_wire(export) if export else personal_data_pb2.PersonalDataExport()
