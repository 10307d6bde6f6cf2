"""Notes in the audit who changed what about a customer, with the change itself."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.audit import AuditEntry, audit
from services.customer_svc.domain.viewing import Reading


async def note_write(tx: AsyncConnection, reading: Reading, customer_id: str, detail: Mapping[str, str]) -> None:
    """Remembers a change; `detail` names what was changed, by ids only."""
    viewer = reading.viewer
    entry = AuditEntry(viewer.staff_id, viewer.branch_id, reading.request_id, reading.method, customer_id, detail)
    await audit(tx, [entry])
