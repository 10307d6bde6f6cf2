"""Who covers whom, as services keep it that follow the organisation: assignment_svc decides, all of them look."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import Column, Date, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.acting import Acting, CoveredRole
from chassis.sql.rows import put_rows

ACTING_TABLES = (
    """
CREATE TABLE acting_managers (
  acting_manager_id text PRIMARY KEY,
  acting_id text NOT NULL,
  covered_id text NOT NULL,
  role text NOT NULL,
  branch_id text NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL,
  generation integer NOT NULL
)""",
    "CREATE INDEX acting_managers_acting ON acting_managers (acting_id)",
)
_HEAD = "BRANCH_HEAD"
_FORGET = text("DELETE FROM acting_managers WHERE acting_manager_id = ANY (CAST(:ids AS text[]))")
_DROP = text("DELETE FROM acting_managers WHERE generation < :generation")
_TODAY = text(
    "SELECT covered_id, role, branch_id FROM acting_managers WHERE acting_id = :staff_id"
    " AND (bank_now() AT TIME ZONE 'Asia/Shanghai')::date BETWEEN from_date AND until_date"
    " ORDER BY covered_id, role"
)


def acting_managers_table(metadata: MetaData) -> Table:
    """Adds the table to a service's metadata; its migration makes it by `ACTING_TABLES`."""
    return Table(
        "acting_managers",
        metadata,
        Column("acting_manager_id", Text, primary_key=True),
        Column("acting_id", Text, nullable=False),
        Column("covered_id", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("branch_id", Text, nullable=False),
        Column("from_date", Date, nullable=False),
        Column("until_date", Date, nullable=False),
        Column("generation", Integer, nullable=False),
        Index("acting_managers_acting", "acting_id"),
    )


async def put_acting(tx: AsyncConnection, table: Table, items: Sequence[Acting], generation: int) -> None:
    """Stores each as it is now, and forgets those that are over."""
    gone = [item.acting_manager_id for item in items if item.gone]
    if gone:
        await tx.execute(_FORGET, {"ids": gone})
    kept = {item.acting_manager_id: item for item in items if not item.gone}
    names = [column.name for column in table.c if column.name != "generation"]
    rows = [{**{name: getattr(item, name) for name in names}, "generation": generation} for item in kept.values()]
    await put_rows(tx, table, rows)


async def drop_acting(tx: AsyncConnection, generation: int) -> None:
    """Forgets what a new start of the feed did not repeat."""
    await tx.execute(_DROP, {"generation": generation})


async def covered_today(
    conn: AsyncConnection, staff_id: str, subtree: Callable[[AsyncConnection, str], Awaitable[frozenset[str]]]
) -> list[CoveredRole]:
    """What a staff member covers today; `subtree` tells a branch with those below it."""
    rows = (await conn.execute(_TODAY, {"staff_id": staff_id})).all()
    return [
        CoveredRole(
            row.covered_id,
            row.role,
            row.branch_id,
            await subtree(conn, row.branch_id) if row.role == _HEAD else frozenset(),
        )
        for row in rows
    ]
