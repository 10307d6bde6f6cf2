"""The door to what only some who see a customer may see or change of him."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import not_found
from chassis.sql.audit import AuditEntry, audit_reads
from policy.visibility import least_level
from services.customer_svc.domain.viewing import Level, Reading, Viewer
from services.customer_svc.store.owner_rows import owner_rows
from services.customer_svc.usecases.scopes import read_scope


async def must_see(conn: AsyncConnection, viewer: Viewer, customer_id: str, field: str) -> Level:
    """Refuses alike a customer who is absent and one of whom the viewer does not see this field."""
    scope = await read_scope(conn, viewer)
    rows = await owner_rows(conn, customer_id)
    level = Level.NONE if rows is None else scope.level(rows)
    if level < least_level([field]):
        raise not_found()
    return level


async def must_see_noted(conn: AsyncConnection, reading: Reading, customer_id: str, field: str) -> None:
    """As `must_see`, for changes whose answer shows what the customer is like: that is a read, and noted as one."""
    await must_see(conn, reading.viewer, customer_id, field)
    await note_reads(conn, reading, [customer_id])


async def note_reads(conn: AsyncConnection, reading: Reading, customer_ids: Iterable[str]) -> None:
    """Notes that these customers' data were read, before the answer leaves."""
    viewer = reading.viewer
    entry = AuditEntry(viewer.staff_id, viewer.branch_id, reading.request_id, reading.method)
    await audit_reads(conn, entry, set(customer_ids))
