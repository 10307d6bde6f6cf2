"""Tells an auditor what is in the audit."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field
from chassis.sql.audit import AuditEntry, audit
from services.customer_svc.domain.audit_entries import CASE_NUMBER_LENGTH_MAX, AuditedAct, without_case
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.store import audit_log
from services.customer_svc.store.audit_log import Wanted


async def search_audit(
    tx: AsyncConnection,
    wanted: Wanted,
    case_number: str | None,
    reading: Reading,
    place: tuple[tuple[datetime, int] | None, int],
) -> Sequence[AuditedAct]:
    """A page of the audit, after a place and at most so long; whose data it was is told only for a case.

    A search for a case is noted itself, with its number, before its answer leaves.
    """
    before, limit = place
    if case_number is None:
        if wanted.customer_id is not None:
            message = "customer: is told, and asked for, only with a case number"
            raise Refused(Kind.FORBIDDEN, "CASE_NUMBER_MISSING", message, {"field": "customer"})
        return [without_case(act) for act in await audit_log.page(tx, wanted, before, limit)]
    if len(case_number) > CASE_NUMBER_LENGTH_MAX:
        raise invalid_field("case_number", f"has more than {CASE_NUMBER_LENGTH_MAX} characters")
    if wanted.time_min is not None and wanted.time_max is not None and wanted.time_min >= wanted.time_max:
        raise invalid_field("create_time_min", "is not before create_time_max", "RANGE_EMPTY")
    found = await audit_log.page(tx, wanted, before, limit)
    viewer = reading.viewer
    entry = AuditEntry(
        viewer.staff_id,
        viewer.branch_id,
        reading.request_id,
        reading.method,
        wanted.customer_id or "",
        {"case_number": case_number},
    )
    await audit(tx, [entry])
    return found
