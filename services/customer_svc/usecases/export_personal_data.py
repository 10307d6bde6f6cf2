"""Right of access: all that is kept of one person as a file, ordered, written with every service's part, fetched."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import DataKeys
from chassis.errors import invalid_field, not_found
from chassis.sql.audit import AuditEntry, audit
from chassis.sql.engine import Database
from services.customer_svc.domain.erasure import REFERENCE_LENGTH_MAX
from services.customer_svc.domain.personal_data import PersonalExport, Rows, file_of
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import customers, exports, personal_data, personal_exports
from services.customer_svc.store.contact_data import reveal
from services.customer_svc.usecases.build_groups import fit_owner
from services.customer_svc.usecases.export_files import Pieces
from services.customer_svc.usecases.primary_head import must_lead

METHOD = "ExportPersonalData"
OWN_SERVICE = "customer_svc"

# Tells which services' parts are read; answers whether to go on.
Progress = Callable[[Sequence[str]], Awaitable[bool]]


class Peers(Protocol):
    """The other services."""

    @property
    def names(self) -> Sequence[str]: ...

    async def read(self, service: str, customer_id: str, requester_id: str, reference: str) -> Rows: ...


@dataclass(frozen=True)
class Writing:
    """One attempt of an operation to write a file; an attempt before left nothing that counts."""

    database: Database
    keys: DataKeys
    peers: Peers
    export: tuple[str, str]
    """The customer and the file's id."""
    tell: Progress


async def order_personal_data(tx: AsyncConnection, export: tuple[str, str], reference: str, reading: Reading) -> None:
    """Stores a file (its customer, its id) to be written, and notes who wants it and on which request of the person."""
    customer_id, export_id = export
    await must_lead(tx, reading.viewer, customer_id)
    check_reference(reference)
    await personal_exports.add(tx, export, reading.viewer.staff_id, reference)
    await audit(tx, [_entry(reading, customer_id, {"export": export_id, "reference": reference})])


async def write_personal_data(writing: Writing) -> PersonalExport | None:
    """Writes a file; None if it was told to stop, or deleted meanwhile.

    Refuses if who asked for it no longer may, and if a service does not tell its part.
    """
    customer_id, export_id = writing.export
    async with writing.database.begin() as tx:
        export = await personal_exports.begin_file(tx, customer_id, export_id)
        if export is None:
            raise not_found()
        viewer = await fit_owner(tx, export.requester_id, await customers.business_day(tx))
        await must_lead(tx, viewer, customer_id)
        customer_ids = await personal_data.ids_of(tx, customer_id)
    parts: dict[str, Rows] = {}
    async with writing.database.begin() as tx:
        parts[OWN_SERVICE] = await personal_data.read_all(tx, customer_ids)
        contact_data = await reveal(tx, writing.keys, customer_ids)
        reading = Reading(viewer, export_id, "ReadPersonalData")
        detail = {"export": export_id, "reference": export.reference}
        await audit(tx, [_entry(reading, one, detail) for one in customer_ids])
    for service in writing.peers.names:
        if not await writing.tell(list(parts)):
            return None
        parts[service] = await _read_part(writing.peers, service, customer_ids, export)
    content = await asyncio.to_thread(file_of, export, contact_data, parts)
    async with writing.database.begin() as tx:
        return await personal_exports.finish(tx, export, _sealed(writing.keys, export_id, content), len(content))


async def get_personal_data(conn: AsyncConnection, export: tuple[str, str], viewer: Viewer) -> PersonalExport:
    """A finished file that the viewer asked for, as long as he leads the customer; all others are NOT_FOUND."""
    found = await personal_exports.find(conn, *export, viewer.staff_id)
    if found is None:
        raise not_found()
    await must_lead(conn, viewer, found.customer_id)
    return found


async def read_personal_file(database: Database, export: PersonalExport, reading: Reading) -> AsyncGenerator[bytes]:
    """The file piece by piece; that it was fetched is noted first. Between two pieces it holds no connection."""
    assert reading.keys is not None, "files are sealed: who reads one brings the keys that open it"
    async with database.begin() as tx:
        await audit(tx, [_entry(reading, export.customer_id, {"export": export.export_id})])
    ordinal = 0
    while True:
        async with database.read() as conn:
            piece = await exports.read_chunk(conn, export.export_id, ordinal)
        if piece is None:
            return
        yield reading.keys.open_piece(_piece(export.export_id, ordinal), piece)
        ordinal += 1


async def drop_expired(database: Database) -> None:
    """Deletes files whose time is over, some pieces a commit."""
    async with database.read() as conn:
        old = await personal_exports.expired(conn)
    for export_id in old:
        is_empty = False
        while not is_empty:
            async with database.begin() as tx:
                is_empty = await exports.drop_some(tx, export_id)
        async with database.begin() as tx:
            await personal_exports.drop(tx, export_id)


def check_reference(reference: str) -> None:
    """Refuses a reference to a person's request that says nothing, or too much."""
    if not reference.strip() or len(reference) > REFERENCE_LENGTH_MAX:
        raise invalid_field("reference", f"must have 1 to {REFERENCE_LENGTH_MAX} characters")


async def _read_part(peers: Peers, service: str, customer_ids: Sequence[str], export: PersonalExport) -> Rows:
    whole: dict[str, list[str]] = {}
    for customer_id in customer_ids:
        found = await peers.read(service, customer_id, export.requester_id, export.reference)
        for table, rows in found.items():
            whole.setdefault(table, []).extend(rows)
    return whole


def _sealed(keys: DataKeys, export_id: str, content: bytes) -> list[bytes]:
    pieces = Pieces()
    clear = [*pieces.take(content), *pieces.rest()]
    return [keys.seal_piece(_piece(export_id, ordinal), piece) for ordinal, piece in enumerate(clear)]


def _piece(export_id: str, ordinal: int) -> str:
    return f"{export_id}/{ordinal}"


def _entry(reading: Reading, customer_id: str, detail: dict[str, str]) -> AuditEntry:
    entry = AuditEntry(reading.viewer.staff_id, reading.viewer.branch_id, reading.request_id, reading.method)
    return replace(entry, customer_id=customer_id, detail=detail)
