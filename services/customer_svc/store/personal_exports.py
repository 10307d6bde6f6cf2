"""Files of all that is kept of one person; their pieces stand where those of other exports do."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.personal_data import PersonalExport
from services.customer_svc.store import exports

_ADD = text(
    "INSERT INTO personal_data_exports (customer_id, export_id, requester_id, reference)"
    " VALUES (:customer_id, :export_id, :requester_id, :reference)"
)
_BEGIN = text(
    "SELECT * FROM personal_data_exports WHERE customer_id = :customer_id AND export_id = :export_id FOR UPDATE"
)
_CLEAR = text("DELETE FROM export_chunks WHERE export_id = :export_id")
_FINISH = text(
    "UPDATE personal_data_exports SET finished = true, size_bytes = :size_bytes"
    " WHERE customer_id = :customer_id AND export_id = :export_id RETURNING *"
)
_FIND = text(
    "SELECT * FROM personal_data_exports WHERE customer_id = :customer_id AND export_id = :export_id"
    " AND requester_id = :requester_id AND finished AND expire_time > bank_now()"
)
# With them goes what nobody would find any more, since it was erased.
_EXPIRED = text("SELECT export_id FROM personal_data_exports WHERE expire_time < bank_now() LIMIT 100")
_DROP = text("DELETE FROM personal_data_exports WHERE export_id = :export_id")


async def add(tx: AsyncConnection, export: tuple[str, str], requester_id: str, reference: str) -> None:
    """Stores a file (its customer, its id) that is not written yet, so that nobody is shown it."""
    customer_id, export_id = export
    values = {"customer_id": customer_id, "export_id": export_id}
    await tx.execute(_ADD, {**values, "requester_id": requester_id, "reference": reference})


async def begin_file(tx: AsyncConnection, customer_id: str, export_id: str) -> PersonalExport | None:
    """The file to be written, without what an attempt before wrote; None if it was deleted meanwhile."""
    await tx.execute(_CLEAR, {"export_id": export_id})
    row = (await tx.execute(_BEGIN, {"customer_id": customer_id, "export_id": export_id})).one_or_none()
    return _export(row) if row else None


async def finish(
    tx: AsyncConnection, export: PersonalExport, pieces: Sequence[bytes], size_bytes: int
) -> PersonalExport | None:
    """Stores the pieces of a file and shows it to who asked for it; None if it was deleted meanwhile."""
    values = {"customer_id": export.customer_id, "export_id": export.export_id, "size_bytes": size_bytes}
    row = (await tx.execute(_FINISH, values)).one_or_none()
    if row is not None:
        await exports.add_chunks(tx, export.export_id, 0, pieces)
    return _export(row) if row else None


async def find(conn: AsyncConnection, customer_id: str, export_id: str, requester_id: str) -> PersonalExport | None:
    """A finished file that somebody asked for, as long as it is kept."""
    values = {"customer_id": customer_id, "export_id": export_id, "requester_id": requester_id}
    row = (await conn.execute(_FIND, values)).one_or_none()
    return _export(row) if row else None


async def expired(conn: AsyncConnection) -> Sequence[str]:
    """Files whose time is over, some at a time."""
    return (await conn.execute(_EXPIRED)).scalars().all()


async def drop(tx: AsyncConnection, export_id: str) -> None:
    """Deletes a file whose pieces are gone."""
    await tx.execute(_DROP, {"export_id": export_id})


def _export(row: Row[Any]) -> PersonalExport:
    return PersonalExport(
        row.customer_id,
        row.export_id,
        row.requester_id,
        row.reference,
        row.size_bytes,
        row.create_time,
        row.expire_time,
    )
