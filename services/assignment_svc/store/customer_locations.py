"""Where customers live, as the source tells it."""

from collections.abc import Sequence

import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, RowError
from chassis.sql.merged_rows import mapped
from chassis.sql.upsert import default_upsert
from services.assignment_svc.domain.geography import Place
from services.assignment_svc.store.tables_visits import customer_locations

_ROW_ERRORS_MAX = 10_000
SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("latitude", pa.float64(), nullable=False),
        pa.field("longitude", pa.float64(), nullable=False),
    ]
)
_GET = text(
    "SELECT customer_id, latitude, longitude FROM customer_locations"
    " WHERE customer_id = ANY (CAST(:customer_ids AS text[]))"
)
_KEY = ("customer_id",)


async def of_customers(conn: AsyncConnection, customer_ids: Sequence[str]) -> dict[str, Place]:
    """Where customers live, of those of whom it is known."""
    rows = await conn.execute(_GET, {"customer_ids": list(customer_ids)})
    return {row.customer_id: Place(row.latitude, row.longitude) for row in rows}


async def _check(tx: AsyncConnection, staging: str) -> list[RowError]:
    """Every place is on the globe; in SQL not-a-number is above every number."""
    found: list[RowError] = []
    for field, most in (("latitude", 90), ("longitude", 180)):
        query = f"""SELECT s."row", CAST(s.{field} AS text) AS value FROM {staging} s
          WHERE s.{field} NOT BETWEEN -{most} AND {most} ORDER BY s."row" LIMIT {_ROW_ERRORS_MAX}"""  # noqa: S608 -- our own words
        problem = f"is not between -{most} and {most}"
        found += [RowError(row.row, field, "ROW_INVALID", row.value, problem) for row in await tx.execute(text(query))]
    return sorted(found, key=lambda error: error.row)[:_ROW_ERRORS_MAX]


def bulk_table() -> BulkTable:
    """The table as ImportRows takes it; rows that the source tells no more stay."""
    upsert = default_upsert(customer_locations, _KEY, SCHEMA.names)
    return mapped(BulkTable("customer_locations", SCHEMA, _KEY, upsert, _check))
