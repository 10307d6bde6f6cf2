"""Exports: ordered, written some customers at a time with what their maker may see then, shown, fetched, deleted."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import DataKeys
from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from chassis.sql.audit import AuditEntry, audit
from chassis.sql.engine import Database
from services.customer_svc.domain.customer import View
from services.customer_svc.domain.exports import (
    COLUMNS,
    EXPORTS_OF_ONE_MAX,
    PURPOSE_LENGTH_MAX,
    Export,
    Order,
    rows_max,
    unknown_columns,
)
from services.customer_svc.domain.query import Query
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import customers, exports, search
from services.customer_svc.usecases.ask_query import ask, named_scope
from services.customer_svc.usecases.build_groups import fit_owner
from services.customer_svc.usecases.export_figures import PageFigures, read_page_figures
from services.customer_svc.usecases.export_files import File, Pieces, file_of
from services.customer_svc.usecases.keep_groups import refuse_numbers
from services.customer_svc.usecases.refer_to_groups import read_place
from services.customer_svc.usecases.scopes import read_scope
from services.customer_svc.usecases.search_customers import search_customers

METHOD = "ExportCustomers"
PAGE_CUSTOMERS = 2_000

# Tells how many customers of how many are written; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


@dataclass(frozen=True)
class Writing:
    """One attempt of an operation to write a file; an attempt before left nothing that counts."""

    database: Database
    keys: DataKeys
    export_id: str
    query: Query
    tell: Progress


async def order_export(tx: AsyncConnection, order: Order, query: Query, reading: Reading, export_id: str) -> None:
    """Stores an export to be written, and notes who wants it what for.

    Refuses unknown columns, who may not export, and more customers than he may: nothing is cut silently.
    """
    _check(order)
    refuse_numbers(query)
    if await exports.count_of(tx, reading.viewer.staff_id) >= EXPORTS_OF_ONE_MAX:
        told = {"limit": str(EXPORTS_OF_ONE_MAX)}
        raise Refused(Kind.EXHAUSTED, "EXPORTS_TOO_MANY", f"nobody makes more than {EXPORTS_OF_ONE_MAX} a day", told)
    total, _ = await _count(tx, query, reading.viewer)
    await exports.add(tx, export_id, reading.viewer.staff_id, order)
    detail = {
        "export": export_id,
        "purpose": order.purpose,
        "format": order.format.value,
        "columns": ",".join(order.columns),
        "count": str(total),
    }
    await audit(tx, [replace(_entry(reading), detail=detail)])


async def write_export(writing: Writing) -> Export | None:
    """Writes the file with what its maker may see now, and notes each customer; None if it was told to stop.

    Refuses if its maker has left, may no longer export, or would take more than he may. A file that is not finished
    is shown to nobody; one that could not be is deleted as an old one is.
    """
    async with writing.database.begin() as tx:
        export = await exports.begin_file(tx, writing.export_id)
        if export is None:
            raise not_found()
        viewer = await fit_owner(tx, export.creator_id, await customers.business_day(tx))
        total, limit = await _count(tx, writing.query, viewer)
    reading = Reading(viewer, writing.export_id, METHOD, keys=writing.keys)
    file = await asyncio.to_thread(file_of, export, [COLUMNS[name] for name in export.order.columns])
    kept, start, row_count = _Kept(writing), None, 0
    while True:
        if not await writing.tell(row_count, max(total, row_count)):
            await drop_export(writing.database, writing.export_id)
            return None
        async with writing.database.begin() as tx:
            found = await search_customers(tx, writing.query, reading, start, PAGE_CUSTOMERS)
            figures = await read_page_figures(tx, found.views, export.order.columns)
        start, row_count = found.next_start, row_count + len(found.views)
        if row_count > limit:
            raise _too_large(limit, row_count)
        await kept.add(await asyncio.to_thread(_rows, file, figures, found.views))
        if start is None:
            break
    await kept.add(await asyncio.to_thread(file.end), is_last=True)
    async with writing.database.begin() as tx:
        return await exports.finish(tx, writing.export_id, row_count, kept.size_bytes)


async def get_export(conn: AsyncConnection, export_id: str, viewer: Viewer) -> Export:
    """A finished export of the viewer's own; all others are NOT_FOUND."""
    export = await exports.find(conn, export_id, viewer.staff_id)
    if export is None:
        raise not_found()
    return export


async def read_file(database: Database, export: Export, reading: Reading) -> AsyncGenerator[bytes]:
    """The file piece by piece; that it was fetched is noted first. Between two pieces it holds no connection."""
    assert reading.keys is not None, "files are sealed: who reads one brings the keys that open it"
    async with database.begin() as tx:
        await audit(tx, [replace(_entry(reading), detail={"export": export.export_id})])
    ordinal = 0
    while True:
        async with database.read() as conn:
            piece = await exports.read_chunk(conn, export.export_id, ordinal)
        if piece is None:
            return
        yield reading.keys.open_piece(_piece(export.export_id, ordinal), piece)
        ordinal += 1


async def drop_export(database: Database, export_id: str) -> None:
    """Deletes a file, some pieces a commit, and then the export."""
    while True:
        async with database.begin() as tx:
            if await exports.drop_some(tx, export_id):
                return


class _Kept:
    """A file on its way into the database, where it stands sealed as contact data do."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._pieces = Pieces()
        self._count = 0
        self.size_bytes = 0

    async def add(self, content: bytes, *, is_last: bool = False) -> None:
        ready = self._pieces.take(content)
        if is_last:
            ready += self._pieces.rest()
        export_id, seal = self._writing.export_id, self._writing.keys.seal_piece
        sealed = [seal(_piece(export_id, self._count + place), piece) for place, piece in enumerate(ready)]
        async with self._writing.database.begin() as tx:
            await exports.add_chunks(tx, export_id, self._count, sealed)
        self._count += len(ready)
        self.size_bytes += sum(map(len, ready))


async def _count(conn: AsyncConnection, query: Query, viewer: Viewer) -> tuple[int, int]:
    """How many customers somebody would export, and how many he may. Refuses if those are fewer, or none."""
    policy, place = await exports.policy_in_force(conn), await read_place(conn, viewer)
    limit = rows_max(policy, viewer.roles, is_top=place.is_top)
    if limit is None:
        raise Refused(Kind.FORBIDDEN, "ROLE_FORBIDDEN", "your roles do not export")
    asked = await ask(conn, query, viewer, named_scope(await read_scope(conn, viewer)))
    await search.plan_for_these_values(conn)
    total = await search.count(conn, asked)
    if total > limit:
        raise _too_large(limit, total)
    return total, limit


def _rows(file: File, figures: PageFigures, views: Sequence[View]) -> bytes:
    return file.add(figures.added_to(views))


def _piece(export_id: str, ordinal: int) -> str:
    return f"{export_id}/{ordinal}"


def _check(order: Order) -> None:
    violations: list[Violation] = []
    if unknown := unknown_columns(order.columns):
        message = f"columns: exports have no {', '.join(unknown)}"[:500]
        told = {"columns": ",".join(unknown)[:500]}
        raise Refused(Kind.INVALID, "COLUMNS_UNKNOWN", message, told, [Violation("columns", message)])
    if len(set(order.columns)) < len(order.columns):
        violations.append(Violation("columns", "must be different from each other"))
    if not order.purpose.strip() or len(order.purpose) > PURPOSE_LENGTH_MAX:
        violations.append(Violation("purpose", f"must have 1 to {PURPOSE_LENGTH_MAX} characters"))
    if violations:
        raise invalid_fields(violations)


def _too_large(limit: int, count: int) -> Refused:
    message = f"{count} customers are more than the {limit} that you may export: narrow the query"
    return Refused(Kind.EXHAUSTED, "EXPORT_TOO_LARGE", message, {"limit": str(limit), "count": str(count)})


def _entry(reading: Reading) -> AuditEntry:
    return AuditEntry(reading.viewer.staff_id, reading.viewer.branch_id, reading.request_id, reading.method)
