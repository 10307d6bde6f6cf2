"""Rows from Arrow into a table by COPY, as fast as psql: row APIs are four times slower."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

import asyncpg
import pyarrow as pa
from pyarrow import compute, csv
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Its functions are made when it is imported, unseen by type checkers.
pc: Any = compute

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
    """A batch as the CSV that COPY reads; columns of bytes are for `bytea`."""
    written = [_hexed(column) if pa.types.is_binary(column.type) else column for column in batch.columns]
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.RecordBatch.from_arrays(written, names=batch.schema.names), sink, _WRITE_OPTIONS)
    return memoryview(sink.getvalue())


def _hexed(column: pa.BinaryArray) -> pa.StringArray:
    """The bytes as PostgreSQL reads them in texts: two hexadecimal digits for each."""
    count = len(column)
    places = pa.Array.from_buffers(pa.int32(), count + 1, [None, column.buffers()[1]], offset=column.offset)
    first, last = places[0].as_py(), places[count].as_py()
    digits = column.buffers()[2].slice(first, last - first).hex() if last > first else b""
    # Of 32 bits: a number of Python's would make them 64.
    ends = pc.multiply(pc.subtract(places, pa.scalar(first, pa.int32())), pa.scalar(2, pa.int32()))
    texts = pa.Array.from_buffers(
        pa.string(), count, [None, ends.buffers()[1], pa.py_buffer(digits)], offset=ends.offset
    )
    return pc.if_else(pc.is_valid(column), pc.binary_join_element_wise("\\x", texts, ""), None)
