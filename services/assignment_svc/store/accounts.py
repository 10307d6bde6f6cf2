"""How staff sign in: their passwords; and which customers they must not meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store.tables import staff
from services.assignment_svc.store.tables_org_changes import staff_relation


@dataclass(frozen=True)
class StaffRelation:
    """What a customer is to a staff member."""

    staff_id: str
    customer_id: str
    kind: str
    actor: str
    declare_time: datetime


async def put_password(tx: AsyncConnection, staff_id: str, password_hash: str | None, *, once: bool) -> None:
    """Stores what a password is checked against, or that there is none; `once`: it must be changed before it serves."""
    values = {"password_hash": password_hash, "password_once": once, "update_time": text("bank_now()")}
    await tx.execute(update(staff).where(staff.c.staff_id == staff_id).values(**values))


async def conflicts(conn: AsyncConnection, staff_id: str) -> frozenset[str]:
    """The customers whom a staff member neither manages, approves for nor looks at: himself and declared relatives."""
    query = select(staff_relation.c.customer_id).where(staff_relation.c.staff_id == staff_id)
    return frozenset((await conn.execute(query)).scalars()) | {staff_id}


async def put_relation(tx: AsyncConnection, staff_id: str, customer_id: str, kind: str, actor: str) -> StaffRelation:
    """Stores what a customer is to a staff member, in place of what was declared before."""
    values = {"staff_id": staff_id, "customer_id": customer_id, "kind": kind, "actor": actor}
    statement = insert(staff_relation).values(**values)
    changes = {"kind": kind, "actor": actor, "declare_time": text("bank_now()")}
    statement = statement.on_conflict_do_update(index_elements=["customer_id", "staff_id"], set_=changes)
    row = (await tx.execute(statement.returning(staff_relation))).one()
    return StaffRelation(row.staff_id, row.customer_id, row.kind, row.actor, row.declare_time)


async def get_relation(conn: AsyncConnection, staff_id: str, customer_id: str) -> StaffRelation | None:
    """One declared relation."""
    query = select(staff_relation).where(
        staff_relation.c.staff_id == staff_id, staff_relation.c.customer_id == customer_id
    )
    row = (await conn.execute(query)).one_or_none()
    return StaffRelation(row.staff_id, row.customer_id, row.kind, row.actor, row.declare_time) if row else None


async def list_relations(conn: AsyncConnection, staff_id: str, after: str, limit: int) -> Sequence[StaffRelation]:
    """A staff member's declared relations by customer."""
    query = (
        select(staff_relation)
        .where(staff_relation.c.staff_id == staff_id, staff_relation.c.customer_id > after)
        .order_by(staff_relation.c.customer_id)
        .limit(limit)
    )
    return [
        StaffRelation(row.staff_id, row.customer_id, row.kind, row.actor, row.declare_time)
        for row in await conn.execute(query)
    ]


async def remove_relation(tx: AsyncConnection, staff_id: str, customer_id: str) -> bool:
    """Takes a declared relation away; False if there was none."""
    query = delete(staff_relation).where(
        staff_relation.c.staff_id == staff_id, staff_relation.c.customer_id == customer_id
    )
    return (await tx.execute(query)).rowcount > 0
