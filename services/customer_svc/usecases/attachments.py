"""Attachments: who adds, sees and deletes them. They belong to sides as notes do."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from services.customer_svc.domain.notes import (
    ATTACHMENTS_MAX,
    Attachment,
    Document,
    Listed,
    document_faults,
    may_delete,
)
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.store import attachments
from services.customer_svc.store.asking import read_moment
from services.customer_svc.store.tag_sync import lock_customer
from services.customer_svc.usecases.must_see import note_reads
from services.customer_svc.usecases.note_writes import note_write
from services.customer_svc.usecases.notes import FIELD, not_author
from services.customer_svc.usecases.see_sides import must_see_sides


async def create_attachment(tx: AsyncConnection, reading: Reading, customer_id: str, document: Document) -> Attachment:
    """Adds what is told of a document, for the branch that the author looks after the customer for."""
    sides = await must_see_sides(tx, reading.viewer, customer_id, FIELD)
    day, _ = await read_moment(tx)
    if faults := [Violation(f"attachment.{field}", said) for field, said in document_faults(document, day)]:
        raise invalid_fields(faults)
    await lock_customer(tx, customer_id)
    if await attachments.count(tx, customer_id) >= ATTACHMENTS_MAX:
        message = f"a customer may have {ATTACHMENTS_MAX:,} attachments"
        raise Refused(Kind.EXHAUSTED, "ATTACHMENTS_TOO_MANY", message, {"limit": str(ATTACHMENTS_MAX)})
    branch_id = sides.own_branch_id or reading.viewer.branch_id
    added = await attachments.add(tx, customer_id, document, reading.viewer.staff_id, branch_id)
    await note_write(tx, reading, customer_id, {"attachment": added.attachment_id})
    return added


async def get_attachment(conn: AsyncConnection, reading: Reading, customer_id: str, attachment_id: str) -> Attachment:
    """One attachment, also a deleted one."""
    found = await _seen(conn, reading, customer_id, attachment_id)
    await note_reads(conn, reading, [customer_id])
    return found


async def list_attachments(
    conn: AsyncConnection, reading: Reading, customer_id: str, listed: Listed
) -> Sequence[Attachment]:
    """A customer's attachments, the youngest first, from before a place on."""
    sides = await must_see_sides(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    return await attachments.page(conn, customer_id, sides, listed)


async def delete_attachment(
    tx: AsyncConnection, reading: Reading, named: tuple[str, str], *, deleted: bool
) -> Attachment:
    """Deletes an attachment or brings it back; nothing happens if that is done already."""
    attachment = await _seen(tx, reading, *named, lock=True)
    if not may_delete(attachment, reading.viewer):
        raise not_author()
    if (attachment.delete_time is not None) == deleted:
        return attachment
    await note_write(tx, reading, attachment.customer_id, {"attachment": attachment.attachment_id})
    return await attachments.put_deleted(tx, attachment, deleted=deleted)


async def _seen(
    conn: AsyncConnection, reading: Reading, customer_id: str, attachment_id: str, *, lock: bool = False
) -> Attachment:
    sides = await must_see_sides(conn, reading.viewer, customer_id, FIELD)
    found = await attachments.get(conn, customer_id, attachment_id, lock=lock)
    if found is None or not sides.opens(found.branch_id):
        raise not_found()
    return found
