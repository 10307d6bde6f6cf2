"""What protects a branch's row: holds of the primary branch, and protections of secondary rows."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Date, Integer, Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.ownership import Hold, HoldKind, Side
from services.assignment_svc.store.manual_changes import put_hold

# The holds that came with a claim or a naming, and go with it; those of approved transfers have other ids.
_OF_NAMING = "named-"

_AT = text("""
SELECT hold_id, kind, branch_id, manager_id, from_date, until_date, last_contact_date FROM ownership_hold
WHERE customer_id = :customer_id AND branch_id = :branch_id
UNION ALL
SELECT protection_id, 'PROTECTION', branch_id, NULL, from_date, until_date, last_contact_date FROM row_protection
WHERE customer_id = :customer_id AND branch_id = :branch_id
""")
_PUT = text(
    "INSERT INTO row_protection (customer_id, branch_id, protection_id, from_date, until_date)"
    " VALUES (:customer_id, :branch_id, :protection_id, :from_date, :until_date)"
    " ON CONFLICT (customer_id, branch_id) DO UPDATE SET protection_id = excluded.protection_id,"
    " from_date = excluded.from_date, until_date = excluded.until_date, last_contact_date = NULL,"
    " create_time = bank_now()"
).bindparams(bindparam("from_date", type_=Date), bindparam("until_date", type_=Date))
_END = text("""
WITH ended AS (
  DELETE FROM ownership_hold WHERE customer_id = :customer_id AND branch_id = :branch_id AND kind = 'PROTECTION'
    AND starts_with(hold_id, 'named-')
)
DELETE FROM row_protection WHERE customer_id = :customer_id AND branch_id = :branch_id
""")
_END_ALL = text("DELETE FROM ownership_hold WHERE customer_id = :customer_id AND kind = 'PROTECTION'")
# A protection that has gone idle is over, and no contact brings it back.
_CONTACTED = """
UPDATE {table} SET last_contact_date = :day{more} WHERE customer_id = :customer_id AND branch_id = :branch_id
  {kind}AND from_date <= :day AND coalesce(last_contact_date, from_date) BETWEEN :day - :idle_days AND :day - 1
"""
_CONTACTED_HOLD = _CONTACTED.format(
    table="ownership_hold", more=", rev = pg_current_xact_id()", kind="AND kind = 'PROTECTION' "
)
_CONTACTED_ROW = _CONTACTED.format(table="row_protection", more="", kind="")


async def holds_at(conn: AsyncConnection, customer_id: str, branch_id: str) -> list[Hold]:
    """What holds or protects the row of a branch, whether it has begun or ended or not."""
    rows = await conn.execute(_AT, {"customer_id": customer_id, "branch_id": branch_id})
    return [hold_of(row) for row in rows]


def hold_of(row: Row[Any]) -> Hold:
    """A row of `ownership_hold`, or one that has its columns."""
    return Hold(
        row.hold_id,
        HoldKind(row.kind),
        row.branch_id,
        row.manager_id,
        row.from_date,
        row.until_date,
        row.last_contact_date,
    )


async def protect_row(  # noqa: PLR0913, PLR0917 -- whose row, on which side, for how long, by which change
    tx: AsyncConnection, customer_id: str, branch_id: str, side: Side, day: date, days: int, change_id: str
) -> None:
    """Protects a row for so many days from `day` on; what protected an earlier manager there must have ended.

    On the primary side it holds the primary branch against cards and deposits too; on the secondary side it only
    refuses claims and pulls.
    """
    until = day + timedelta(days=days)
    if side is Side.PRIMARY:
        hold = Hold(f"{_OF_NAMING}{change_id}", HoldKind.PROTECTION, branch_id, None, day, until)
        await put_hold(tx, customer_id, hold, "a new manager")
        return
    values = {"customer_id": customer_id, "branch_id": branch_id, "protection_id": f"{_OF_NAMING}{change_id}"}
    await tx.execute(_PUT, {**values, "from_date": day, "until_date": until})


async def end_protection(tx: AsyncConnection, customer_id: str, branch_id: str) -> None:
    """Takes away the protection that came with the claim or the naming of a row's manager."""
    await tx.execute(_END, {"customer_id": customer_id, "branch_id": branch_id})


async def end_all_protections(tx: AsyncConnection, customer_id: str) -> None:
    """Takes away every protection that holds a primary branch: an approved transfer ends what went before."""
    await tx.execute(_END_ALL, {"customer_id": customer_id})


async def note_contact(tx: AsyncConnection, customer_id: str, branch_id: str, day: date, idle_days: int) -> None:
    """Lets what protects a branch's row go on: it was in touch with the customer. Nights look at him again."""
    values = {"customer_id": customer_id, "branch_id": branch_id, "day": day, "idle_days": idle_days}
    for statement in (_CONTACTED_HOLD, _CONTACTED_ROW):
        typed = text(statement).bindparams(bindparam("day", type_=Date), bindparam("idle_days", type_=Integer))
        await tx.execute(typed, values)
