"""The tables of the feed that score cards are made from (docs/feed.md): balance_steps and customer_months."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
from sqlalchemy import Date, Table, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, Hook, default_upsert
from services.assignment_svc.store.tables_score_cards import balance_step, customer_month

STEPS, MONTHS = "balance_steps", "customer_months"
_SET_DATE = text(
    "INSERT INTO score_import (table_name, business_date) VALUES (:name, :day)"
    " ON CONFLICT (table_name) DO UPDATE SET business_date = excluded.business_date"
).bindparams(bindparam("day", type_=Date))
_DATES = text("SELECT business_date FROM score_import WHERE table_name IN ('balance_steps', 'customer_months')")


def _id(name: str) -> pa.Field:
    return pa.field(name, pa.string(), nullable=False)


def _day(name: str) -> pa.Field:
    return pa.field(name, pa.date32(), nullable=False)


def _flag(name: str) -> pa.Field:
    return pa.field(name, pa.bool_(), nullable=False)


STEPS_SCHEMA = pa.schema(
    [_id("customer_id"), _id("branch_id"), _day("from_date"), pa.field("balance_minor", pa.int64(), nullable=False)]
)
MONTHS_SCHEMA = pa.schema(
    [
        _id("customer_id"),
        _day("month_date"),
        pa.field("deposit_average_minor", pa.int64()),
        pa.field("deposit_growth_minor", pa.int64()),
        pa.field("wealth_minor", pa.int64()),
        pa.field("loan_minor", pa.int64()),
        pa.field("category_count", pa.int64()),
        _flag("had_business"),
        _flag("has_business"),
        _flag("new_customer"),
        _flag("key_customer"),
    ]
)


async def imported_date(tx: AsyncConnection) -> date | None:
    """The business date of which both tables are there; None if one is missing or of another date."""
    found = list((await tx.execute(_DATES)).scalars())
    return found[0] if len(found) == len({STEPS, MONTHS}) and len(set(found)) == 1 else None


def score_tables() -> Sequence[BulkTable]:
    """Both tables; each is always told whole, so what is told no more is deleted."""
    return (
        _table(STEPS, STEPS_SCHEMA, ("customer_id", "branch_id", "from_date"), balance_step, "true"),
        # Months before stay: frozen cards are explained by them.
        _table(
            MONTHS,
            MONTHS_SCHEMA,
            ("customer_id", "month_date"),
            customer_month,
            "t.month_date = date_trunc('month', CAST(:day AS date))",
        ),
    )


def _table(name: str, schema: pa.Schema, key: tuple[str, ...], target: Table, replaced: str) -> BulkTable:
    upsert = default_upsert(target, key, schema.names)
    return BulkTable(name, schema, key, upsert, finish=_finish(name, key, target, replaced), fills=(target.name,))


def _finish(name: str, key: tuple[str, ...], target: Table, replaced: str) -> Hook:
    same_key = " AND ".join(f"s.{column} = t.{column}" for column in key)

    async def finish(tx: AsyncConnection, staging: str, business_date: date) -> None:
        """Ends what is told no more, and says of which date the table is."""
        gone = f"DELETE FROM {target.name} t WHERE {replaced} AND NOT EXISTS (SELECT FROM {staging} s WHERE {same_key})"  # noqa: S608 - our own words
        await tx.execute(text(gone), {"day": business_date} if ":day" in gone else {})
        await tx.execute(_SET_DATE, {"name": name, "day": business_date})

    return finish
