"""Many rows in one statement: as one array per column, which costs a tenth of one execution per row."""

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause


async def put_rows(tx: AsyncConnection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Inserts rows, or updates those whose key is there, in the order of keys so that no two callers deadlock.

    Each row names every column of the table; no key may come twice.
    """
    if not rows:
        return
    key = [column.name for column in table.primary_key]
    ordered = sorted(rows, key=lambda row: [str(row[name]) for name in key])
    await tx.execute(_statement(table), {column.name: [row[column.name] for row in ordered] for column in table.c})


@cache
def _statement(table: Table) -> TextClause:
    dialect = postgresql.dialect()
    names = ", ".join(column.name for column in table.c)
    arrays = ", ".join(f"CAST(:{column.name} AS {column.type.compile(dialect)}[])" for column in table.c)
    key = ", ".join(column.name for column in table.primary_key)
    rest = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.c if not column.primary_key)
    then = f"DO UPDATE SET {rest}" if rest else "DO NOTHING"
    # Names come from our own table objects.
    return text(f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) {then}")  # noqa: S608
