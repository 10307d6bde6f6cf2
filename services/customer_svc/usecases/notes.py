"""Notes: who writes, sees, changes and deletes them. A note belongs to the side that its author wrote it for."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from chassis.written_texts import text_fault
from services.customer_svc.domain.notes import NOTES_MAX, TEXT_LENGTH_MAX, Listed, Note, may_delete
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.store import notes
from services.customer_svc.store.tag_sync import lock_customer
from services.customer_svc.usecases.must_see import note_reads
from services.customer_svc.usecases.note_writes import note_write
from services.customer_svc.usecases.see_sides import must_see_sides

FIELD = "notes"


async def create_note(tx: AsyncConnection, reading: Reading, customer_id: str, text: str) -> Note:
    """Writes a note for the branch that the author looks after the customer for."""
    sides = await must_see_sides(tx, reading.viewer, customer_id, FIELD)
    check_text(text)
    await lock_customer(tx, customer_id)
    if await notes.count(tx, customer_id) >= NOTES_MAX:
        message = f"a customer may have {NOTES_MAX:,} notes"
        raise Refused(Kind.EXHAUSTED, "NOTES_TOO_MANY", message, {"limit": str(NOTES_MAX)})
    branch_id = sides.own_branch_id or reading.viewer.branch_id
    written = await notes.add(tx, customer_id, text, reading.viewer.staff_id, branch_id)
    await note_write(tx, reading, customer_id, {"note": written.note_id})
    return written


async def get_note(conn: AsyncConnection, reading: Reading, customer_id: str, note_id: str) -> Note:
    """One note, also a deleted one."""
    found = await _seen(conn, reading, customer_id, note_id)
    await note_reads(conn, reading, [customer_id])
    return found


async def list_notes(conn: AsyncConnection, reading: Reading, customer_id: str, listed: Listed) -> Sequence[Note]:
    """A customer's notes, the youngest first, from before a place on."""
    sides = await must_see_sides(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    return await notes.page(conn, customer_id, sides, listed)


async def update_note(tx: AsyncConnection, reading: Reading, named: tuple[str, str], text: str, etag: str) -> Note:
    """Changes a note's text, by its author."""
    note = await _seen(tx, reading, *named, lock=True)
    check_text(text)
    if note.author_id != reading.viewer.staff_id:
        raise not_author()
    if note.delete_time is not None:
        told = {"delete_time": note.delete_time.isoformat()}
        raise Refused(Kind.PRECONDITION, "NOTE_DELETED", "the note is deleted: bring it back first", told)
    _check_etag(note, etag)
    await note_write(tx, reading, note.customer_id, {"note": note.note_id})
    return await notes.put_text(tx, note, text)


async def delete_note(
    tx: AsyncConnection, reading: Reading, named: tuple[str, str], etag: str, *, deleted: bool
) -> Note:
    """Deletes a note or brings it back; nothing happens if that is done already."""
    note = await _seen(tx, reading, *named, lock=True)
    if not may_delete(note, reading.viewer):
        raise not_author()
    if (note.delete_time is not None) == deleted:
        return note
    if etag:
        _check_etag(note, etag)
    await note_write(tx, reading, note.customer_id, {"note": note.note_id})
    return await notes.put_deleted(tx, note, deleted=deleted)


def check_text(text: str) -> None:
    """Refuses a text that no note may have."""
    if fault := text_fault(text, TEXT_LENGTH_MAX):
        raise invalid_field("note.text", fault)


def not_author() -> Refused:
    """Refuses who may not change what somebody else made."""
    return Refused(Kind.FORBIDDEN, "NOT_AUTHOR", "only its author does this; a deletion also the head of its branch")


async def _seen(conn: AsyncConnection, reading: Reading, customer_id: str, note_id: str, *, lock: bool = False) -> Note:
    sides = await must_see_sides(conn, reading.viewer, customer_id, FIELD)
    note = await notes.get(conn, customer_id, note_id, lock=lock)
    if note is None or not sides.opens(note.branch_id):
        raise not_found()
    return note


def _check_etag(note: Note, etag: str) -> None:
    if etag != note.etag:
        raise Refused(Kind.CONFLICT, "ETAG_MISMATCH", "somebody changed it since it was read; read it again")
