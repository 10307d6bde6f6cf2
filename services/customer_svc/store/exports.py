"""Exports and their files, kept in pieces in the database, since any instance may be asked for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.exports import Export, ExportPolicy, Format, Order
from services.customer_svc.store.tables_groups import export_chunks, export_policies, exports

_DELETED_A_COMMIT = 200

c = exports.c
_COLUMNS: tuple[ColumnElement[Any], ...] = (
    c.export_id,
    c.creator_id,
    c.purpose,
    c.format,
    c.columns,
    c.row_count,
    c.size_bytes,
    c.create_time,
    c.expire_time,
)
_EXPIRED = text("SELECT export_id FROM exports WHERE expire_time < bank_now() ORDER BY expire_time LIMIT 100")
_DROP_SOME = text(
    "DELETE FROM export_chunks WHERE (export_id, ordinal) IN (SELECT export_id, ordinal FROM export_chunks"
    " WHERE export_id = :export_id ORDER BY ordinal LIMIT :limit)"
)


async def policy_in_force(conn: AsyncConnection) -> ExportPolicy:
    """The latest version of the policy that has begun."""
    p = export_policies.c
    statement = select(p.rows_max_manager, p.rows_max_head, p.rows_max_head_office)
    begun = statement.where(p.start_time <= func.bank_now()).order_by(p.version.desc()).limit(1)
    return ExportPolicy(*(await conn.execute(begun)).one())


async def add(tx: AsyncConnection, export_id: str, creator_id: str, order: Order) -> None:
    """Stores an export that is not finished yet, so that nobody is shown it."""
    await tx.execute(
        insert(exports).values(
            export_id=export_id,
            creator_id=creator_id,
            purpose=order.purpose,
            format=order.format.value,
            columns=list(order.columns),
        )
    )


async def count_of(conn: AsyncConnection, creator_id: str) -> int:
    """How many exports somebody has, those that are being written too."""
    return (await conn.execute(select(func.count()).where(c.creator_id == creator_id))).scalar_one()


async def begin_file(tx: AsyncConnection, export_id: str) -> Export | None:
    """The export to be written, without what an attempt before wrote; None if it was deleted meanwhile."""
    row = (await tx.execute(select(*_COLUMNS).where(c.export_id == export_id).with_for_update())).one_or_none()
    await tx.execute(delete(export_chunks).where(export_chunks.c.export_id == export_id))
    return _export(row) if row else None


async def add_chunks(tx: AsyncConnection, export_id: str, first: int, chunks: Sequence[bytes]) -> None:
    """Stores further pieces of a file."""
    rows = [
        {"export_id": export_id, "ordinal": first + place, "content": content} for place, content in enumerate(chunks)
    ]
    if rows:
        await tx.execute(insert(export_chunks), rows)


async def finish(tx: AsyncConnection, export_id: str, row_count: int, size_bytes: int) -> Export | None:
    """Makes a written file an export that its maker sees; None if it was deleted meanwhile."""
    row = await tx.execute(
        update(exports)
        .where(c.export_id == export_id)
        .values(row_count=row_count, size_bytes=size_bytes, finished=True)
        .returning(*_COLUMNS)
    )
    found = row.one_or_none()
    return _export(found) if found else None


async def find(conn: AsyncConnection, export_id: str, creator_id: str) -> Export | None:
    """A finished export of somebody, as long as it is kept."""
    row = (await conn.execute(select(*_COLUMNS).where(_shown(creator_id), c.export_id == export_id))).one_or_none()
    return _export(row) if row else None


async def page(conn: AsyncConnection, creator_id: str, before: tuple[datetime, str] | None, limit: int) -> list[Export]:
    """Somebody's finished exports, the youngest first, those made before a place, at most `limit`."""
    place = tuple_(c.create_time, c.export_id)
    statement = select(*_COLUMNS).where(_shown(creator_id))
    if before is not None:
        statement = statement.where(place < before)
    rows = await conn.execute(statement.order_by(c.create_time.desc(), c.export_id.desc()).limit(limit))
    return [_export(row) for row in rows]


async def read_chunk(conn: AsyncConnection, export_id: str, ordinal: int) -> bytes | None:
    """One piece of a file; None after the last."""
    k = export_chunks.c
    found = await conn.execute(select(k.content).where(k.export_id == export_id, k.ordinal == ordinal))
    return found.scalar_one_or_none()


async def expired(conn: AsyncConnection) -> list[str]:
    """Exports whose time is over, some at a time."""
    return list((await conn.execute(_EXPIRED)).scalars())


async def drop_some(tx: AsyncConnection, export_id: str) -> bool:
    """Deletes some pieces of a file, and the export with the last of them; says whether that is done."""
    dropped = (await tx.execute(_DROP_SOME, {"export_id": export_id, "limit": _DELETED_A_COMMIT})).rowcount
    if dropped == _DELETED_A_COMMIT:
        return False
    await tx.execute(delete(exports).where(c.export_id == export_id))
    return True


def _shown(creator_id: str) -> ColumnElement[bool]:
    return (c.creator_id == creator_id) & c.finished & (c.expire_time > func.bank_now())


def _export(row: Row[Any]) -> Export:
    return Export(
        row.export_id,
        row.creator_id,
        Order(row.purpose, Format(row.format), tuple(row.columns)),
        row.row_count,
        row.size_bytes,
        row.create_time,
        row.expire_time,
    )
