"""Where documents about customers lie; what is deleted is kept for 30 days."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, any_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.notes import KEPT_DELETED, Attachment, Document, Listed
from services.customer_svc.domain.sides import Sides
from services.customer_svc.store.scope import texts
from services.customer_svc.store.tables_notes import attachments

_c = attachments.c


async def add(tx: AsyncConnection, customer_id: str, document: Document, author_id: str, branch_id: str) -> Attachment:
    """Stores what is told of a document."""
    told = {**vars(document), "sha256": bytes.fromhex(document.sha256)}
    values = {**told, "customer_id": customer_id, "author_id": author_id, "branch_id": branch_id}
    added = insert(attachments).values(attachment_id=func.gen_random_uuid().cast(Text), **values).returning(attachments)
    return _attachment((await tx.execute(added)).one())


async def count(tx: AsyncConnection, customer_id: str) -> int:
    """How many attachments a customer has that are not deleted."""
    mine = select(func.count()).select_from(attachments)
    return (await tx.execute(mine.where(_c.customer_id == customer_id, _c.delete_time.is_(None)))).scalar_one()


async def get(conn: AsyncConnection, customer_id: str, attachment_id: str, *, lock: bool = False) -> Attachment | None:
    """One attachment, also a deleted one; with `lock` nobody else changes it until the transaction ends."""
    query = select(attachments).where(_c.customer_id == customer_id, _c.attachment_id == attachment_id, _kept())
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _attachment(row) if row else None


async def page(conn: AsyncConnection, customer_id: str, sides: Sides, listed: Listed) -> Sequence[Attachment]:
    """A customer's attachments that are seen from these sides, the youngest first."""
    kept = _kept() if listed.with_deleted else _c.delete_time.is_(None)
    query = select(attachments).where(_c.customer_id == customer_id, kept)
    if sides.branch_ids is not None:
        query = query.where(_c.branch_id == any_(texts(sides.branch_ids)))
    if listed.before is not None:
        query = query.where(tuple_(_c.create_time, _c.attachment_id) < listed.before)
    rows = await conn.execute(query.order_by(_c.create_time.desc(), _c.attachment_id.desc()).limit(listed.limit))
    return [_attachment(row) for row in rows]


async def put_deleted(tx: AsyncConnection, attachment: Attachment, *, deleted: bool) -> Attachment:
    """Deletes an attachment or brings it back."""
    changed = (
        update(attachments)
        .where(_c.customer_id == attachment.customer_id, _c.attachment_id == attachment.attachment_id)
        .values(delete_time=func.bank_now() if deleted else None)
        .returning(attachments)
    )
    return _attachment((await tx.execute(changed)).one())


async def forget_deleted(tx: AsyncConnection, limit: int) -> int:
    """Deletes for good what can be brought back no more, some at a time, and returns how many."""
    over = (
        select(_c.customer_id, _c.attachment_id).where(_c.delete_time <= func.bank_now() - KEPT_DELETED).limit(limit)
    ).subquery()
    gone = delete(attachments).where(tuple_(_c.customer_id, _c.attachment_id).in_(select(over)))
    return (await tx.execute(gone)).rowcount


def _kept() -> ColumnElement[bool]:
    return or_(_c.delete_time.is_(None), _c.delete_time > func.bank_now() - KEPT_DELETED)


def _attachment(row: Row[Any]) -> Attachment:
    document = Document(
        row.file_name,
        row.media_type,
        row.size_bytes,
        row.sha256.hex(),
        row.uri,
        row.retained_until_date,
        row.description,
    )
    ids = (row.customer_id, row.attachment_id)
    return Attachment(*ids, document, row.author_id, row.branch_id, row.create_time, row.delete_time)
