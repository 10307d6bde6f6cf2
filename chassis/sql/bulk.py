"""Bulk import: a table of the feed, all of it valid or nothing stored, as fast as psql (design 4.5)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation
from chassis.sql.arrow_rows import ROW_COLUMN, Inbox, Piece, RowError, RowReader, Transform
from chassis.sql.business_day import set_business_day
from chassis.sql.copy import copy_csv
from chassis.sql.engine import Database, begun, repeat_transaction, sqlstate
from chassis.sql.import_locks import locked_imports, try_lock_imports
from chassis.sql.removals import Remaining, refuse_mass_removal
from chassis.sql.statistics import refresh_statistics
from chassis.sql.upsert import Upsert, default_upsert

__all__ = [
    "BulkCounts",
    "BulkImport",
    "BulkTable",
    "Hook",
    "RowError",
    "Staged",
    "Transform",
    "default_upsert",
    "no_check",
    "no_finish",
    "no_start",
    "try_lock_imports",
    "unknown_references",
]

# Rows per commit: feeds wait for the oldest open transaction of the whole server.
KEYS_PER_COMMIT = 20_000
# SQL checks list no more than this; the metadata's count stops there too.
ROW_ERRORS_MAX = 10_000
_IMPORTS_MAX = 2
_UNIQUE_VIOLATION = "23505"

_TYPES = {
    pa.string(): "text",
    pa.int64(): "bigint",
    pa.int32(): "integer",
    pa.bool_(): "boolean",
    pa.float64(): "double precision",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamptz",
    pa.binary(): "bytea",
}

Check = Callable[[AsyncConnection, str], Awaitable[list[RowError]]]
# (transaction, staging table, the import's business date); may refuse.
Hook = Callable[[AsyncConnection, str, date], Awaitable[None]]


async def no_check(tx: AsyncConnection, staging: str) -> list[RowError]:
    """Finds nothing: for tables whose rows need no others."""
    del tx, staging
    return []


async def no_start(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Does nothing before the rows: for tables that take any date at any time."""
    del tx, staging, business_date


async def no_finish(tx: AsyncConnection, staging: str, business_date: date) -> None:
    """Does nothing after the rows: for tables of which each row stands for itself."""
    del tx, staging, business_date


@dataclass(frozen=True)
class Staged:
    """What is staged of a table where that is not what arrived, such as what may not be stored as it came.

    `transform` gets and gives batches whose first column numbers the rows; behind it stand the table's columns, or
    those of `schema`. It works in a thread, on rows that were found well made, a piece at a time while the piece before
    is copied; what it raises ends the import.
    """

    schema: pa.Schema
    transform: Transform


@dataclass(frozen=True)
class BulkTable:
    """A table of the feed: its exact columns, its key, where its rows go and what SQL must say about them first.

    In `schema`, a field that is not nullable is required; its metadata may list `codes` (row_checks.py). Names that end
    in `_id` hold ids. `check` gets the staging table, whose column "row" counts from 0. `start` runs before the first
    row is stored, `finish` after the last: each in a transaction of its own, under the same lock as the rows, so that
    no other import of the table comes between. An import that failed half-way started and did not finish. `fills` names
    the tables that its rows change, if not the one of its name. `remaining` belongs to tables that always come whole:
    more than half of what is alive is removed only by an import that is allowed to.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    upsert: Upsert
    check: Check = no_check
    start: Hook = no_start
    finish: Hook = no_finish
    staged: Staged | None = None
    fills: tuple[str, ...] = ()
    remaining: Remaining | None = None

    @property
    def staged_schema(self) -> pa.Schema:
        """The columns of the staging table, without the rows' numbers."""
        return self.staged.schema if self.staged else self.schema


@dataclass(frozen=True)
class BulkCounts:
    """What became of the rows of an import."""

    received: int
    inserted: int
    updated: int
    unchanged: int


class BulkImport:
    """Takes the tables that a service knows; two imports at a time per instance, the others wait."""

    def __init__(self, database: Database, tables: Sequence[BulkTable]) -> None:
        self._database = database
        self._tables = {table.name: table for table in tables}
        self._threads = ThreadPoolExecutor(_IMPORTS_MAX, "bulk-import")
        self._room = asyncio.Semaphore(_IMPORTS_MAX)
        pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps for good the most that it ever held.

    async def run(
        self, header_table: str, business_date: date, chunks: AsyncIterator[bytes], *, allow_removals: bool = False
    ) -> BulkCounts:
        """Stores the rows of one Arrow IPC stream and moves the service's business date.

        Refuses with every bad row counted and the first 50 named, and then stores nothing. A crash half-way leaves
        whole batches behind; the same import again completes it.
        """
        table = self._tables.get(header_table)
        if table is None:
            given = {"table": header_table[:100]}
            raise Refused(Kind.INVALID, "TABLE_UNKNOWN", f"no table {header_table[:100]} is taken here", given)
        async with self._room, self._database.alone() as connection, _reading(chunks) as inbox:
            reader = RowReader(inbox, table.schema, table.staged.transform if table.staged else None)
            staging = await self._stage(connection, table, reader)
            async with locked_imports(connection, table.name):
                await _check(connection, table, staging)
                if table.remaining is not None and not allow_removals:
                    async with begun(connection):
                        await refuse_mass_removal(connection, table.name, staging, table.remaining)
                await _call(connection, table.start, staging, business_date)
                inserted, updated = await _store(connection, table, staging)
                await _call(connection, table.finish, staging, business_date)
            async with begun(connection):
                await set_business_day(connection, business_date)
            await refresh_statistics(connection, table.fills or (table.name,), inserted + updated)
        self._threads.submit(pa.default_memory_pool().release_unused)
        return BulkCounts(reader.received, inserted, updated, reader.received - inserted - updated)

    async def _stage(self, connection: AsyncConnection, table: BulkTable, reader: RowReader) -> str:
        """Copies the rows into a temporary table, decoding the next piece while the server takes this one."""
        staging = f"staging_{table.name}"
        columns = ", ".join(f'"{field.name}" {_column_type(table, field)}' for field in table.staged_schema)
        async with begun(connection):
            await connection.execute(text("SET LOCAL temp_buffers = '64MB'"))
            await connection.execute(text(f'CREATE TEMPORARY TABLE {staging} ("{ROW_COLUMN}" bigint, {columns})'))
        names = [ROW_COLUMN, *table.staged_schema.names]
        loop = asyncio.get_running_loop()
        decoding: asyncio.Future[Piece | None] = loop.run_in_executor(self._threads, reader.next_piece)
        while (piece := await decoding) is not None:
            decoding = loop.run_in_executor(self._threads, reader.next_piece)
            async with begun(connection):
                await copy_csv(connection, staging, names, piece.csv)
        if reader.errors:
            raise refused_rows(reader.errors, reader.bad_row_count)
        return staging


def _column_type(table: BulkTable, field: pa.Field) -> str:
    """Keys are ordered by code point, as in the tables, whatever the database's own order: they cut the batches."""
    is_ordered = field.name in table.key and field.type == pa.string()
    return 'text COLLATE "C"' if is_ordered else _TYPES[field.type]


@asynccontextmanager
async def _reading(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Inbox]:
    """Hands chunks to a reader for the length of the block; neither outlives it."""
    inbox = Inbox()
    filling = asyncio.create_task(inbox.fill(chunks))
    try:
        yield inbox
    finally:
        filling.cancel()
        await asyncio.wait([filling])
        inbox.close()


async def _check(connection: AsyncConnection, table: BulkTable, staging: str) -> None:
    key = ", ".join(f'"{name}"' for name in table.key)
    try:
        async with begun(connection):
            await connection.execute(text(f"CREATE UNIQUE INDEX ON {staging} ({key})"))
            await connection.execute(text(f"ANALYZE {staging}"))
    except DBAPIError as error:
        if sqlstate(error) != _UNIQUE_VIOLATION:
            raise
        async with begun(connection):
            raise refused_rows(await _duplicates(connection, table, staging)) from error
    async with begun(connection):
        errors = await table.check(connection, staging)
    if errors:
        raise refused_rows(sorted(errors, key=lambda found: (found.row, found.field)))


async def _call(connection: AsyncConnection, hook: Hook, staging: str, business_date: date) -> None:
    await repeat_transaction(lambda: begun(connection), lambda tx: hook(tx, staging, business_date))


async def _duplicates(connection: AsyncConnection, table: BulkTable, staging: str) -> list[RowError]:
    key = ", ".join(f'"{name}"' for name in table.key)
    value = " || ' ' || ".join(f'"{name}"' for name in table.key)
    query = f"""
SELECT "{ROW_COLUMN}", value, first FROM (
  SELECT "{ROW_COLUMN}", {value} AS value, min("{ROW_COLUMN}") OVER (PARTITION BY {key}) AS first FROM {staging}
) AS numbered WHERE "{ROW_COLUMN}" > first ORDER BY "{ROW_COLUMN}" LIMIT {ROW_ERRORS_MAX}"""  # noqa: S608 - our names
    rows = (await connection.execute(text(query))).all()
    return [
        RowError(row, table.key[0], "ROW_INVALID", value, f"has the key of rows[{first}]") for row, value, first in rows
    ]


async def _store(connection: AsyncConnection, table: BulkTable, staging: str) -> tuple[int, int]:
    """Upserts in key order, a commit per 20,000 rows; the first column of the key cuts the batches."""
    first = f'"{table.key[0]}"'
    bounds_query = f"""
SELECT {first} FROM (SELECT {first}, row_number() OVER (ORDER BY {first}) AS n FROM {staging}) AS numbered
WHERE n % {KEYS_PER_COMMIT} = 0 UNION SELECT max({first}) FROM {staging} ORDER BY 1"""  # noqa: S608 - our names
    async with begun(connection):
        bounds = [bound for bound in (await connection.execute(text(bounds_query))).scalars() if bound is not None]
    inserted, updated, lower = 0, 0, ""
    for upper in bounds:

        async def upsert_batch(tx: AsyncConnection, lower: str = lower, upper: str = upper) -> tuple[int, int]:
            return await table.upsert(tx, staging, lower, upper)

        new, changed = await repeat_transaction(lambda: begun(connection), upsert_batch)
        inserted, updated, lower = inserted + new, updated + changed, upper
    return inserted, updated


async def unknown_references(
    tx: AsyncConnection, staging: str, column: str, known: str, known_column: str
) -> list[RowError]:
    """Finds the rows whose `column` names nothing in `known`: the check that most tables need."""
    query = f"""
SELECT s."{ROW_COLUMN}", s."{column}" FROM {staging} AS s
WHERE s."{column}" IS NOT NULL AND NOT EXISTS (SELECT FROM "{known}" AS k WHERE k."{known_column}" = s."{column}")
ORDER BY s."{ROW_COLUMN}" LIMIT {ROW_ERRORS_MAX}"""  # noqa: S608 - our names
    rows = (await tx.execute(text(query))).all()
    return [RowError(row, column, "REFERENCE_UNKNOWN", value, "names nothing that exists") for row, value in rows]


def refused_rows(errors: Sequence[RowError], bad_row_count: int | None = None) -> Refused:
    """The refusal that names the rows, with the first one's parts and the number of bad rows in its metadata."""
    first = errors[0]
    count = len({found.row for found in errors}) if bad_row_count is None else bad_row_count
    violations = [
        Violation(f"rows[{found.row}].{found.field}", found.problem or found.reason.lower().replace("_", " "))
        for found in errors
    ]
    metadata = {"row": str(first.row), "field": first.field, "value": first.value, "bad_rows": str(count)}
    message = f"{count} rows are bad; {violations[0].field}: {violations[0].description}"
    return Refused(Kind.INVALID, first.reason, message, metadata, violations)
