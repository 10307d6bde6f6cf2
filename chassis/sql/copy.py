"""Rows from Arrow into a table by COPY, as fast as psql: row APIs are four times slower."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence

import asyncpg
import pyarrow as pa
from pyarrow import csv
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# About 50 ms of encoding: above it, a thread does the work and the loop goes on serving.
_THREAD_BYTES_MIN = 2_000_000
# pyarrow quotes every text and leaves NULL bare, which is exactly how PostgreSQL tells NULL from ''.
_WRITE_OPTIONS = csv.WriteOptions(include_header=False, quoting_style="needed")


async def copy_into(
    tx: AsyncConnection, table_name: str, columns: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> int:
    """Adds the batches' rows to a table inside the transaction and returns how many; NULL and '' stay different.

    The batches' columns are in the order of `columns`, and of types that PostgreSQL reads from pyarrow's text.
    """
    return await _copy(tx, table_name, columns, _encoded(batches))


async def copy_csv(tx: AsyncConnection, table_name: str, columns: Sequence[str], rows: memoryview) -> int:
    """Adds rows that are encoded already (`to_csv`), as `copy_into` does."""
    return await _copy(tx, table_name, columns, rows)


async def _copy(
    tx: AsyncConnection, table_name: str, columns: Sequence[str], source: memoryview | AsyncGenerator[memoryview]
) -> int:
    # SQLAlchemy sends BEGIN only before its own first statement: without one, the rows would survive a rollback.
    await tx.execute(text("SELECT 1"))
    raw = await tx.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, asyncpg.Connection), "COPY speaks to asyncpg itself"
    status = await driver.copy_to_table(table_name, source=source, columns=list(columns), format="csv")
    return int(status.rsplit(" ", 1)[-1])


async def _encoded(batches: Iterable[pa.RecordBatch]) -> AsyncGenerator[memoryview]:
    for batch in batches:
        if batch.nbytes < _THREAD_BYTES_MIN:
            yield to_csv(batch)
        else:
            yield await asyncio.to_thread(to_csv, batch)


def to_csv(batch: pa.RecordBatch) -> memoryview:
    """A batch as the CSV that COPY reads."""
    sink = pa.BufferOutputStream()
    csv.write_csv(batch, sink, _WRITE_OPTIONS)
    return memoryview(sink.getvalue())
