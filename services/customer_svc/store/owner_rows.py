"""Who owns one customer, to decide what a viewer is to him, and which branch stands above his primary one."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.viewing import OwnerRow

_ROWS = text(
    "SELECT o.branch_id, o.side, o.manager_id, o.private_manager_id FROM customers AS c"
    " LEFT JOIN owners AS o USING (customer_id) WHERE c.customer_id = :customer_id AND NOT c.gone"
)
_PRIMARY = text(
    "SELECT o.branch_id, b.parent_id FROM owners AS o LEFT JOIN branches AS b USING (branch_id)"
    " WHERE o.customer_id = :customer_id AND o.side = 'PRIMARY'"
)

_TOP = text("SELECT EXISTS (SELECT FROM branches WHERE branch_id = :branch_id AND parent_id IS NULL)")


@dataclass(frozen=True)
class Primary:
    """A customer's primary branch, and the one above it."""

    branch_id: str
    parent_id: str | None


async def owner_rows(conn: AsyncConnection, customer_id: str) -> list[OwnerRow] | None:
    """The rows that own a customer; None if there is no such customer."""
    rows = (await conn.execute(_ROWS, {"customer_id": customer_id})).all()
    if not rows:
        return None
    return [
        OwnerRow(row.branch_id, row.side, row.manager_id, row.private_manager_id)
        for row in rows
        if row.branch_id is not None
    ]


async def primary_of(conn: AsyncConnection, customer_id: str) -> Primary | None:
    """A customer's primary branch, if he has one."""
    row = (await conn.execute(_PRIMARY, {"customer_id": customer_id})).one_or_none()
    return Primary(row.branch_id, row.parent_id) if row else None


async def is_top(conn: AsyncConnection, branch_id: str) -> bool:
    """Whether a branch is known to have none above it."""
    return (await conn.execute(_TOP, {"branch_id": branch_id})).scalar_one()
