"""The servicer of NoteService."""

from functools import partial

from banyan.customer.v1 import note_pb2, note_service_pb2_grpc
from banyan.customer.v1 import note_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging
from chassis.caller import current_caller
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.customer_svc.domain.notes import Listed
from services.customer_svc.rpc import convert, convert_notes
from services.customer_svc.usecases import notes
from services.customer_svc.usecases.must_see import must_see

_NOTES = "customers/*/notes/*"


class NoteServicer(note_service_pb2_grpc.NoteServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def CreateNote(self, request: pb.CreateNoteRequest, _context: Context) -> note_pb2.Note:
        customer_id = names.parse_one("customers", request.parent, "parent")
        reading = convert.reading_of(current_caller(), "CreateNote")

        async def create(tx: AsyncConnection) -> note_pb2.Note:
            return convert_notes.note_to_wire(await notes.create_note(tx, reading, customer_id, request.note.text))

        return await once(self._database, _write("CreateNote", request, customer_id), note_pb2.Note, create)

    async def GetNote(self, request: pb.GetNoteRequest, _context: Context) -> note_pb2.Note:
        customer_id, note_id = names.parse(_NOTES, request.name)
        reading = convert.reading_of(current_caller(), "GetNote")
        async with self._database.read() as conn:
            return convert_notes.note_to_wire(await notes.get_note(conn, reading, customer_id, note_id))

    async def ListNotes(self, request: pb.ListNotesRequest, _context: Context) -> pb.ListNotesResponse:
        size = paging.page_size(request.page_size)
        before = convert_notes.place_from_key(paging.decode(request.page_token, request, self._paging_secret))
        customer_id = names.parse_one("customers", request.parent, "parent")
        reading = convert.reading_of(current_caller(), "ListNotes")
        listed = Listed(before, size + 1, request.show_deleted)
        async with self._database.read() as conn:
            found = await notes.list_notes(conn, reading, customer_id, listed)
        shown = paging.cut([convert_notes.note_to_wire(note) for note in found[:size]])
        token = ""
        if len(shown) < len(found):
            last = found[len(shown) - 1]
            place = convert_notes.place_of(last.create_time, last.note_id)
            token = paging.encode(place, request, self._paging_secret)
        return pb.ListNotesResponse(notes=shown, next_page_token=token)

    async def UpdateNote(self, request: pb.UpdateNoteRequest, _context: Context) -> note_pb2.Note:
        customer_id, note_id = names.parse(_NOTES, request.note.name, "note.name")
        convert_notes.check_mask(request.update_mask.paths)
        reading, sent = convert.reading_of(current_caller(), "UpdateNote"), request.note

        async def update(tx: AsyncConnection) -> note_pb2.Note:
            changed = await notes.update_note(tx, reading, (customer_id, note_id), sent.text, sent.etag)
            return convert_notes.note_to_wire(changed)

        return await once(self._database, _write("UpdateNote", request, customer_id), note_pb2.Note, update)

    async def DeleteNote(self, request: pb.DeleteNoteRequest, _context: Context) -> Empty:
        customer_id, note_id = names.parse(_NOTES, request.name)
        reading = convert.reading_of(current_caller(), "DeleteNote")
        async with self._database.begin() as tx:
            await notes.delete_note(tx, reading, (customer_id, note_id), request.etag, deleted=True)
        return Empty()

    async def UndeleteNote(self, request: pb.UndeleteNoteRequest, _context: Context) -> pb.UndeleteNoteResponse:
        customer_id, note_id = names.parse(_NOTES, request.name)
        reading = convert.reading_of(current_caller(), "UndeleteNote")

        async def undelete(tx: AsyncConnection) -> pb.UndeleteNoteResponse:
            note = await notes.delete_note(tx, reading, (customer_id, note_id), "", deleted=False)
            return pb.UndeleteNoteResponse(note=convert_notes.note_to_wire(note))

        write = _write("UndeleteNote", request, customer_id)
        return await once(self._database, write, pb.UndeleteNoteResponse, undelete)


def _write(method: str, request: object, customer_id: str) -> Write:
    viewer = convert.viewer_of(current_caller())
    return Write(method, request, partial(must_see, viewer=viewer, customer_id=customer_id, field=notes.FIELD))
