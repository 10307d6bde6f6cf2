"""Declares which customers are staff or near to staff (domain.md 3, "Staff as customers").

The log of the organisation tells that somebody's relations changed; of which customer, only the audit.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, not_found
from chassis.sql.audit import audit, audit_reads
from services.assignment_svc.store import accounts, org, org_changes
from services.assignment_svc.store.accounts import StaffRelation
from services.assignment_svc.store.org_changes import Telling
from services.assignment_svc.usecases.read_ownership import Reader

_READERS = frozenset({Role.ADMIN, Role.AUDITOR})


async def declare(
    tx: AsyncConnection, reader: Reader, telling: Telling, staff_id: str, told: tuple[str, str]
) -> StaffRelation:
    """Stores what a customer (id, kind) is to a staff member: told by himself or by an administrator."""
    customer_id, kind = told
    caller = reader.caller
    if caller.staff_id != staff_id and Role.ADMIN not in caller.roles:
        raise not_found()
    if await org.get_staff(tx, staff_id) is None:
        raise not_found()
    before = await accounts.get_relation(tx, staff_id, customer_id)
    if before is not None and before.kind != kind and caller.staff_id == staff_id:
        raise Refused(Kind.FORBIDDEN, "OWN_ACCOUNT", "what one declared is changed by an administrator")
    await org_changes.tell(tx, telling)
    await _remember(tx, reader, staff_id, customer_id)
    return await accounts.put_relation(tx, staff_id, customer_id, kind, telling.actor)


async def get_relation(conn: AsyncConnection, reader: Reader, staff_id: str, customer_id: str) -> StaffRelation:
    """One relation, for the staff member, administrators and auditors; to others it is as if there were none."""
    _check_reader(reader.caller, staff_id)
    found = await accounts.get_relation(conn, staff_id, customer_id)
    if found is None:
        raise not_found()
    await audit_reads(conn, reader.entry, [customer_id])
    return found


async def list_relations(
    conn: AsyncConnection, reader: Reader, staff_id: str, after: str, size: int
) -> tuple[Sequence[StaffRelation], bool]:
    """A page of a staff member's relations, for the same, and whether there are more."""
    _check_reader(reader.caller, staff_id)
    found = await accounts.list_relations(conn, staff_id, after, size + 1)
    await audit_reads(conn, reader.entry, [one.customer_id for one in found[:size]])
    return found[:size], len(found) > size


async def withdraw(tx: AsyncConnection, reader: Reader, telling: Telling, staff_id: str, customer_id: str) -> None:
    """Takes back what was declared."""
    await org_changes.tell(tx, telling)
    if not await accounts.remove_relation(tx, staff_id, customer_id):
        raise not_found()
    await _remember(tx, reader, staff_id, customer_id)


async def _remember(tx: AsyncConnection, reader: Reader, staff_id: str, customer_id: str) -> None:
    await audit(tx, [replace(reader.entry, customer_id=customer_id, detail={"staff": staff_id})])


def _check_reader(caller: Caller, staff_id: str) -> None:
    if caller.staff_id != staff_id and not caller.roles & _READERS:
        raise not_found()
