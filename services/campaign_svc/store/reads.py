"""The memory of who read whose data (domain.md 3: every read of personal data is audited)."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.audit import AuditEntry, audit_reads
from services.campaign_svc.domain.viewing import Reading


async def remember(tx: AsyncConnection, reading: Reading, customer_ids: Collection[str]) -> None:
    """Notes that the viewer was shown something of these customers."""
    viewer = reading.viewer
    entry = AuditEntry(viewer.staff_id, viewer.branch_id, reading.request_id, reading.method)
    await audit_reads(tx, entry, customer_ids)
