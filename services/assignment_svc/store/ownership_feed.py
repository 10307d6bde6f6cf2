"""The feed of ownership: each customer whole, as plain as he can be told.

Many services follow it from the beginning at once, so nothing is made here of a row that its message does not need.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.tables import Xid8

# One statement for all: two would see two states, and a customer for a moment two primaries.
_READ_PAGE = text(
    """
SELECT a.rev, a.customer_id, a.gone, a.state, a.business_date, a.update_time, p.staff_id,
  o.branch_id, o.side, o.rule, o.manager_id, o.basis, o.amount_minor, o.rival_branch_id, o.rival_amount_minor,
  o.held_by_margin, o.since_date, o.due_date
FROM (
  SELECT * FROM ownership
  WHERE rev >= :rev AND (rev > :rev OR customer_id > :key) AND rev < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY rev, customer_id LIMIT :limit
) a LEFT JOIN owner o USING (customer_id) LEFT JOIN private_manager p USING (customer_id)
ORDER BY a.rev, a.customer_id, o.side, o.branch_id"""
).bindparams(bindparam("rev", type_=Xid8), bindparam("key", type_=Text), bindparam("limit", type_=Integer))
_ROOT_COLUMNS = 7


class ToldOwner(NamedTuple):
    """One branch's row, as the feed tells it."""

    branch_id: str
    side: str
    rule: str
    manager_id: str | None
    basis: str | None
    amount_minor: int | None
    rival_branch_id: str | None
    rival_amount_minor: int | None
    held_by_margin: bool
    since_date: date
    due_date: date | None


class ToldOwnership(NamedTuple):
    """A customer with all his rows, the primary first, and his private manager."""

    customer_id: str
    rev: int
    gone: bool
    state: str
    business_date: date
    update_time: datetime
    private_manager_id: str | None
    owners: list[ToldOwner]


async def read_page(conn: AsyncConnection, rev: int, key: str, limit: int) -> Sequence[tuple[int, str, ToldOwnership]]:
    """Customers whose ownership changed after a place in the feed, each whole."""
    rows = (await conn.execute(_READ_PAGE, {"rev": rev, "key": key, "limit": limit})).all()
    page: list[tuple[int, str, ToldOwnership]] = []
    owners: list[ToldOwner] = []
    last = None
    for row in rows:
        changed, customer_id, gone, state, business_date, update_time, private_manager_id, branch_id, *_ = row
        if customer_id != last:
            last, owners = customer_id, []
            told = ToldOwnership(
                customer_id, changed, gone, state, business_date, update_time, private_manager_id, owners
            )
            page.append((changed, customer_id, told))
        if branch_id is not None:
            owners.append(ToldOwner._make(row[_ROOT_COLUMNS:]))
    return page
