"""The audit of this service, as an auditor asks for it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.audit_search import Wanted, search
from services.customer_svc.domain.audit_entries import AuditedAct
from services.customer_svc.store.tables import CHASSIS

__all__ = ["Wanted", "page"]


async def page(
    conn: AsyncConnection, wanted: Wanted, before: tuple[datetime, int] | None, limit: int
) -> Sequence[AuditedAct]:
    """The youngest acts first, beginning after the one given."""
    found = await search(conn, CHASSIS.audit, wanted, before, limit)
    return [
        AuditedAct(
            create_time=stored.time,
            ordinal=stored.audit_id,
            caller=stored.caller,
            branch_id=stored.branch_id,
            request_id=stored.request_id,
            method=stored.method,
            customer_id=stored.customer_id,
            details={name: str(value) for name, value in stored.detail.items()},
        )
        for stored in found
    ]
