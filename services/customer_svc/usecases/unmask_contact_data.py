"""Shows contact data in clear to who sees it masked."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import DataKeys
from chassis.errors import Kind, Refused, invalid_field
from chassis.refusals import request_id_reused
from chassis.sql.audit import AuditEntry, audit
from services.customer_svc.domain.unmasking import SHOWN_FOR, Unmasked, Unmasking, is_counted, reason_fault
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.store import unmaskings
from services.customer_svc.store.contact_data import reveal
from services.customer_svc.usecases.must_see import must_see


async def unmask_contact_data(tx: AsyncConnection, unmasking: Unmasking, reading: Reading, keys: DataKeys) -> Unmasked:
    """Opens one customer's contact data and notes who wanted it and what for; the caller commits before he answers.

    Refuses once the day's number is used up. The same request is neither counted nor noted twice while it lasts: for
    a minute, and for the same purpose. Later its id is used up, or it would show what nobody counts or notes.
    """
    viewer = reading.viewer
    level = await must_see(tx, viewer, unmasking.customer_id, "contacts")
    if fault := reason_fault(unmasking):
        raise invalid_field("reason", fault)
    counted = is_counted(level)
    standing = await unmaskings.lock_standing(tx, viewer.staff_id, unmasking)
    if standing.known and not standing.lasting:
        raise request_id_reused()
    used = standing.used
    if not standing.known:
        if counted and used >= standing.most:
            message = f"contact data was shown in clear {used} times today; that is all for one day"
            raise Refused(Kind.EXHAUSTED, "UNMASK_EXHAUSTED", message, {"limit": str(standing.most)})
        await unmaskings.add(tx, viewer.staff_id, unmasking, counted=counted)
        used += counted
        detail = {"purpose": unmasking.purpose, "reason": unmasking.reason or ""}
        entry = AuditEntry(
            viewer.staff_id, viewer.branch_id, reading.request_id, reading.method, unmasking.customer_id, detail
        )
        await audit(tx, [entry])
    found = await reveal(tx, keys, [unmasking.customer_id])
    remaining = standing.most - used if counted else None
    return Unmasked(found[unmasking.customer_id], remaining, standing.now + SHOWN_FOR)
