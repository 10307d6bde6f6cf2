"""Notes about customers; a deleted one is kept for 30 days."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, any_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.notes import KEPT_DELETED, Listed, Note
from services.customer_svc.domain.sides import Sides
from services.customer_svc.store.scope import texts
from services.customer_svc.store.tables_notes import notes

_c = notes.c


async def add(tx: AsyncConnection, customer_id: str, text: str, author_id: str, branch_id: str) -> Note:
    """Stores a note."""
    values = {"customer_id": customer_id, "text": text, "author_id": author_id, "branch_id": branch_id}
    added = insert(notes).values(note_id=func.gen_random_uuid().cast(Text), **values).returning(notes)
    return _note((await tx.execute(added)).one())


async def count(tx: AsyncConnection, customer_id: str) -> int:
    """How many notes a customer has that are not deleted."""
    mine = select(func.count()).select_from(notes).where(_c.customer_id == customer_id, _c.delete_time.is_(None))
    return (await tx.execute(mine)).scalar_one()


async def get(conn: AsyncConnection, customer_id: str, note_id: str, *, lock: bool = False) -> Note | None:
    """One note, also a deleted one; with `lock` nobody else changes it until the transaction ends."""
    query = select(notes).where(_c.customer_id == customer_id, _c.note_id == note_id, _kept())
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _note(row) if row else None


async def page(conn: AsyncConnection, customer_id: str, sides: Sides, listed: Listed) -> Sequence[Note]:
    """A customer's notes that are seen from these sides, the youngest first."""
    query = select(notes).where(
        _c.customer_id == customer_id, _kept() if listed.with_deleted else _c.delete_time.is_(None)
    )
    if sides.branch_ids is not None:
        query = query.where(_c.branch_id == any_(texts(sides.branch_ids)))
    if listed.before is not None:
        query = query.where(tuple_(_c.create_time, _c.note_id) < listed.before)
    rows = await conn.execute(query.order_by(_c.create_time.desc(), _c.note_id.desc()).limit(listed.limit))
    return [_note(row) for row in rows]


async def put_text(tx: AsyncConnection, note: Note, text: str) -> Note:
    """Changes a note's text."""
    values = {"text": text, "version": note.version + 1, "update_time": func.bank_now()}
    return await _update(tx, note, values)


async def put_deleted(tx: AsyncConnection, note: Note, *, deleted: bool) -> Note:
    """Deletes a note or brings it back."""
    values = {"delete_time": func.bank_now() if deleted else None, "version": note.version + 1}
    return await _update(tx, note, values)


async def forget_deleted(tx: AsyncConnection, limit: int) -> int:
    """Deletes for good what can be brought back no more, some at a time, and returns how many."""
    over = (
        select(_c.customer_id, _c.note_id).where(_c.delete_time <= func.bank_now() - KEPT_DELETED).limit(limit)
    ).subquery()
    gone = delete(notes).where(tuple_(_c.customer_id, _c.note_id).in_(select(over)))
    return (await tx.execute(gone)).rowcount


async def _update(tx: AsyncConnection, note: Note, values: dict[str, Any]) -> Note:
    changed = update(notes).where(_c.customer_id == note.customer_id, _c.note_id == note.note_id).values(**values)
    return _note((await tx.execute(changed.returning(notes))).one())


def _kept() -> ColumnElement[bool]:
    return or_(_c.delete_time.is_(None), _c.delete_time > func.bank_now() - KEPT_DELETED)


def _note(row: Row[Any]) -> Note:
    return Note(*row)
