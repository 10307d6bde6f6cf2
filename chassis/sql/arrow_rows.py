"""Rows that arrive as an Arrow IPC stream cut anywhere: read in a thread, checked by column, encoded for COPY.

What arrives is not trusted: buffers are validated before anything computes on them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pyarrow as pa

from chassis.errors import VIOLATIONS_MAX, Kind, Refused, Violation, invalid_field, invalid_fields
from chassis.sql import row_checks
from chassis.sql.copy import to_csv

ROWS_MAX = 50_000_000
_MESSAGE_BYTES_MAX = 64 << 20
_BATCH_BYTES_MAX = 256 << 20
# Each piece is one COPY and one commit, well below the 2 s that a writer may keep feeds waiting. Larger ones are no
# faster, and a service keeps for good much of what it once held of them.
_PIECE_ROWS_MAX = 10_000
_PIECE_BYTES = 8 << 20
_WAITING_CHUNKS_MAX = 2
_NOT_ARROW = "must be one Arrow IPC stream"

ROW_COLUMN = "row"


@dataclass(frozen=True)
class RowError:
    """One thing wrong with a row, counted from 0 in the stream: an ErrorReason, and the problem in words."""

    row: int
    field: str
    reason: str
    value: str = ""
    problem: str = ""


# Makes of checked rows, with their numbers in the first column, the ones to stage, in the reader's thread.
Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class Piece:
    """Some rows, ready for COPY, with their numbers in the first column."""

    csv: memoryview
    row_count: int


class Inbox:
    """Chunks on their way from the event loop to the thread that reads them; few wait, so memory is bounded."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING_CHUNKS_MAX)
        self._rest = memoryview(b"")
        self.closed = False
        self.failure: Exception | None = None

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        """Hands the chunks over; an error of the sender is raised where the reader reads."""
        try:
            async for chunk in chunks:
                await self._chunks.put(chunk)
        except Exception as error:  # noqa: BLE001 - the reader raises it
            self.failure = error
        await self._chunks.put(None)

    def close(self) -> None:
        """Lets a waiting reader go; for the loop's side."""
        self.closed = True
        while not self._chunks.empty():
            self._chunks.get_nowait()
        self._chunks.put_nowait(None)

    def read(self, size: int = -1) -> bytes:
        """Blocks for `size` bytes, or fewer at the end; what pyarrow calls in the reader's thread."""
        if size < 0 or size > _MESSAGE_BYTES_MAX:
            raise invalid_field("arrow", f"no piece may be larger than {_MESSAGE_BYTES_MAX} bytes", "ROW_INVALID")
        parts: list[memoryview] = []
        missing = size
        while missing and (self._rest or self._wait()):
            part = self._rest[:missing]
            self._rest = self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _wait(self) -> bool:
        chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if chunk is None and self.failure is not None:
            raise self.failure
        self._rest = memoryview(chunk or b"")
        return chunk is not None

    async def _next(self) -> bytes | None:
        chunk = await self._chunks.get()
        while chunk == b"":
            chunk = await self._chunks.get()
        if chunk is None:
            # Whoever reads again after the end, or after `close`, must not wait either.
            self._chunks.put_nowait(None)
        return chunk


class RowReader:
    """Reads the rows of one import, piece by piece. Its methods block and belong into one thread at a time."""

    def __init__(self, inbox: Inbox, schema: pa.Schema, transform: Transform | None = None) -> None:
        self._inbox = inbox
        self._schema = schema
        self._transform = transform
        self._stream: pa.RecordBatchStreamReader | None = None
        self._positions: list[int | None] = []
        self._slices: list[pa.RecordBatch] = []
        self.received = 0
        self.errors: list[RowError] = []
        self.bad_row_count = 0

    def next_piece(self) -> Piece | None:
        """The next rows, or None after the last. Once a row is bad, the rest is only checked and counted."""
        try:
            gathered = self._gather()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
            if self._inbox.failure is not None:
                raise self._inbox.failure from error
            raise invalid_field("arrow", f"{_NOT_ARROW}: {error}"[:500], "ROW_INVALID") from error
        if not gathered:
            return None
        # Batches of a few rows would otherwise cost a round trip each.
        table = pa.Table.from_batches(gathered).combine_chunks()
        batch = table.to_batches()[0]
        if self._transform is not None:
            batch = self._transform(batch)
        return Piece(to_csv(batch), batch.num_rows)

    def _gather(self) -> list[pa.RecordBatch]:
        gathered: list[pa.RecordBatch] = []
        rows, size = 0, 0
        while rows < _PIECE_ROWS_MAX and size < _PIECE_BYTES:
            if not self._slices and not self._read_batch():
                break
            if not self._slices:
                continue
            batch = self._slices.pop(0)
            gathered.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
        return gathered

    def _read_batch(self) -> bool:
        """Reads, checks and numbers one batch; False at the end of the stream."""
        if self._stream is None:
            self._stream = pa.ipc.open_stream(pa.PythonFile(self._inbox, mode="r"))
            self._positions = _positions(self._stream.schema, self._schema)
        try:
            batch = self._stream.read_next_batch()
        except StopIteration:
            return False
        if self._inbox.closed:
            return False
        if batch.nbytes > _BATCH_BYTES_MAX:
            raise invalid_field("arrow", f"no batch may be larger than {_BATCH_BYTES_MAX} bytes", "ROW_INVALID")
        self._take(batch)
        return True

    def _take(self, batch: pa.RecordBatch) -> None:
        first = self.received
        self.received += batch.num_rows
        if self.received > ROWS_MAX:
            raise Refused(Kind.EXHAUSTED, "ROWS_TOO_MANY", f"one import takes {ROWS_MAX} rows at most")
        found = row_checks.invalid_text(batch)
        if not found.count:
            batch = _conformed(batch, self._positions, self._schema)
            found = row_checks.check(batch, self._schema)
        self.bad_row_count += found.count
        room = VIOLATIONS_MAX - len(self.errors)
        for bad in found.bad[:room]:
            self.errors.append(RowError(first + bad.offset, bad.column, "ROW_INVALID", bad.value, bad.problem))
        if self.bad_row_count:
            self._slices.clear()
            return
        numbers = pa.arange(first, self.received)
        numbered = pa.RecordBatch.from_arrays([numbers, *batch.columns], names=[ROW_COLUMN, *self._schema.names])
        self._slices.extend(
            numbered.slice(start, _PIECE_ROWS_MAX) for start in range(0, numbered.num_rows, _PIECE_ROWS_MAX)
        )


def _positions(given: pa.Schema, wanted: pa.Schema) -> list[int | None]:
    """Where each wanted column stands in the stream, None for one that may be left out. Refuses any other schema."""
    violations = [
        Violation(f"columns.{name}", "is not a column of this table")
        for name in given.names
        if name not in wanted.names
    ]
    violations += [
        Violation(f"columns.{name}", "stands twice") for name in {n for n in given.names if given.names.count(n) > 1}
    ]
    positions: list[int | None] = []
    for field in wanted:
        index = given.get_field_index(field.name) if given.names.count(field.name) == 1 else -1
        positions.append(index if index >= 0 else None)
        if field.name not in given.names:
            if not field.nullable:
                violations.append(Violation(f"columns.{field.name}", "is missing"))
        elif index >= 0 and not _is_readable(given.field(index).type, field.type):
            violations.append(Violation(f"columns.{field.name}", f"must be {field.type}, is {given.field(index).type}"))
    if violations:
        raise invalid_fields(sorted(violations, key=lambda violation: violation.field), "ROW_INVALID")
    return positions


def _is_readable(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Says whether every value of a type can be taken as the wanted one without loss."""
    if pa.types.is_dictionary(given):
        given = given.value_type
    if given.equals(wanted) or pa.types.is_null(given):
        return True
    if pa.types.is_string(wanted):
        return pa.types.is_large_string(given) or pa.types.is_string_view(given)
    if pa.types.is_int64(wanted):
        return pa.types.is_integer(given) and not pa.types.is_uint64(given)
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(given) and bool(given.tz) == bool(wanted.tz) and given.unit != "ns"
    return False


def _conformed(batch: pa.RecordBatch, positions: list[int | None], schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly the wanted columns, order and types."""
    columns = [
        pa.nulls(batch.num_rows, field.type) if position is None else batch.column(position).cast(field.type)
        for position, field in zip(positions, schema, strict=True)
    ]
    # Nulls in required columns are found by the checks, by row: the schema must not refuse them first.
    loose = pa.schema([field.with_nullable(nullable=True) for field in schema])
    return pa.RecordBatch.from_arrays(columns, schema=loose).replace_schema_metadata(None)
