"""Declares which customers are staff or near to staff (domain.md 3, "Staff as customers")."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, not_found
from services.assignment_svc.store import accounts, org, org_changes
from services.assignment_svc.store.accounts import StaffRelation
from services.assignment_svc.store.org_changes import Telling


async def declare(
    tx: AsyncConnection, caller: Caller, telling: Telling, staff_id: str, told: tuple[str, str]
) -> StaffRelation:
    """Stores what a customer (id, kind) is to a staff member: told by himself or by an administrator."""
    customer_id, kind = told
    if caller.staff_id != staff_id and Role.ADMIN not in caller.roles:
        raise not_found()
    if await org.get_staff(tx, staff_id) is None:
        raise not_found()
    before = await accounts.get_relation(tx, staff_id, customer_id)
    if before is not None and before.kind != kind and caller.staff_id == staff_id:
        raise Refused(Kind.FORBIDDEN, "OWN_ACCOUNT", "what one declared is changed by an administrator")
    await org_changes.tell(tx, telling)
    return await accounts.put_relation(tx, staff_id, customer_id, kind, telling.actor)


async def withdraw(tx: AsyncConnection, telling: Telling, staff_id: str, customer_id: str) -> None:
    """Takes back what was declared."""
    await org_changes.tell(tx, telling)
    if not await accounts.remove_relation(tx, staff_id, customer_id):
        raise not_found()
