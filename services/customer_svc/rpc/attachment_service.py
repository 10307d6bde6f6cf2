"""The servicer of AttachmentService."""

from functools import partial

from banyan.customer.v1 import attachment_pb2, attachment_service_pb2_grpc
from banyan.customer.v1 import attachment_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.notes import Listed
from services.customer_svc.rpc import convert, convert_notes
from services.customer_svc.usecases import attachments
from services.customer_svc.usecases.must_see import must_see

_ATTACHMENTS = "customers/*/attachments/*"


class AttachmentServicer(attachment_service_pb2_grpc.AttachmentServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def CreateAttachment(
        self, request: pb.CreateAttachmentRequest, _context: Context
    ) -> attachment_pb2.Attachment:
        customer_id = names.parse_one("customers", request.parent, "parent")
        document = convert_notes.document_from_wire(request.attachment)
        reading = convert.reading_of(current_caller(), "CreateAttachment")

        async def create(tx: AsyncConnection) -> attachment_pb2.Attachment:
            added = await attachments.create_attachment(tx, reading, customer_id, document)
            return convert_notes.attachment_to_wire(added)

        write = _write("CreateAttachment", request, customer_id)
        return await once(self._database, write, attachment_pb2.Attachment, create)

    async def GetAttachment(self, request: pb.GetAttachmentRequest, _context: Context) -> attachment_pb2.Attachment:
        customer_id, attachment_id = names.parse(_ATTACHMENTS, request.name)
        reading = convert.reading_of(current_caller(), "GetAttachment")
        async with self._database.read() as conn:
            found = await attachments.get_attachment(conn, reading, customer_id, attachment_id)
        return convert_notes.attachment_to_wire(found)

    async def ListAttachments(
        self, request: pb.ListAttachmentsRequest, _context: Context
    ) -> pb.ListAttachmentsResponse:
        size = paging.page_size(request.page_size)
        before = convert_notes.place_from_key(paging.decode(request.page_token, request, self._paging_secret))
        customer_id = names.parse_one("customers", request.parent, "parent")
        reading = convert.reading_of(current_caller(), "ListAttachments")
        listed = Listed(before, size + 1, request.show_deleted)
        async with self._database.read() as conn:
            found = await attachments.list_attachments(conn, reading, customer_id, listed)
        shown = paging.cut([convert_notes.attachment_to_wire(one) for one in found[:size]])
        token = ""
        if len(shown) < len(found):
            last = found[len(shown) - 1]
            place = convert_notes.place_of(last.create_time, last.attachment_id)
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListAttachmentsResponse(attachments=shown, next_page_token=token)

    async def DeleteAttachment(self, request: pb.DeleteAttachmentRequest, _context: Context) -> Empty:
        named = names.parse(_ATTACHMENTS, request.name)
        reading = convert.reading_of(current_caller(), "DeleteAttachment")
        async with self._database.begin() as tx:
            await attachments.delete_attachment(tx, reading, (named[0], named[1]), deleted=True)
        return Empty()

    async def UndeleteAttachment(
        self, request: pb.UndeleteAttachmentRequest, _context: Context
    ) -> pb.UndeleteAttachmentResponse:
        customer_id, attachment_id = names.parse(_ATTACHMENTS, request.name)
        reading = convert.reading_of(current_caller(), "UndeleteAttachment")

        async def undelete(tx: AsyncConnection) -> pb.UndeleteAttachmentResponse:
            named = (customer_id, attachment_id)
            found = await attachments.delete_attachment(tx, reading, named, deleted=False)
            return pb.UndeleteAttachmentResponse(attachment=convert_notes.attachment_to_wire(found))

        write = _write("UndeleteAttachment", request, customer_id)
        return await once(self._database, write, pb.UndeleteAttachmentResponse, undelete)


def _write(method: str, request: object, customer_id: str) -> Write:
    viewer = convert.viewer_of(current_caller())
    return Write(method, request, partial(must_see, viewer=viewer, customer_id=customer_id, field=attachments.FIELD))
