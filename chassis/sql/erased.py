"""Whom nothing is taken of any more, since he was erased: sources go on telling of him."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from dataclasses import replace

from sqlalchemy import Column, DateTime, MetaData, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, RowError

ERASED_TABLE = """
CREATE TABLE erased_customers (
  customer_id text COLLATE "C" PRIMARY KEY,
  create_time timestamptz NOT NULL DEFAULT bank_now()
)"""
_ANYBODY = text("SELECT EXISTS (SELECT FROM erased_customers)")
_REMEMBER = text("INSERT INTO erased_customers (customer_id) VALUES (:customer_id) ON CONFLICT DO NOTHING")


def erased_table(metadata: MetaData) -> Table:
    """Adds the table to a service's metadata."""
    return Table(
        "erased_customers",
        metadata,
        Column("customer_id", Text, primary_key=True),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    )


async def remember_erased(tx: AsyncConnection, customer_id: str) -> None:
    """Remembers that everything of a customer was erased: an id and no more."""
    await tx.execute(_REMEMBER, {"customer_id": customer_id})


def without_erased(table: BulkTable) -> BulkTable:
    """The same table, whose staged rows of erased customers are dropped before anything else looks at them.

    Rows under the id of somebody who was merged into one of them too.
    """
    if "customer_id" not in table.schema.names:
        return table

    async def check(tx: AsyncConnection, staging: str) -> list[RowError]:
        if (await tx.execute(_ANYBODY)).scalar_one():
            await tx.execute(
                text(f"""
DELETE FROM {staging} AS s WHERE s.customer_id IN (
  SELECT customer_id FROM erased_customers
  UNION ALL SELECT m.customer_id FROM merged_customers AS m JOIN erased_customers AS e ON e.customer_id = m.survivor_id
)""")
            )
        return await table.check(tx, staging)

    return replace(table, check=check)
