"""Files of customers as bytes, some rows at a time. What is written here is CPU work: it belongs into a thread."""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from services.customer_svc.domain.customer import View
from services.customer_svc.domain.exports import WATERMARK, Cell, Column, ColumnKind, Export, Format, safe_text

# With what sealing adds, below 1 MiB.
CHUNK_BYTES = 1_000_000
# Excel takes UTF-8 for what it is only behind this.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MINOR_DIGITS = 2
_TYPES = {
    ColumnKind.TEXT: pa.string(),
    ColumnKind.INTEGER: pa.int64(),
    ColumnKind.MONEY: pa.decimal128(19, _MINOR_DIGITS),
    ColumnKind.DATE: pa.date32(),
    ColumnKind.TIME: pa.timestamp("us", tz="UTC"),
}


class File(Protocol):
    """A file that grows. `add` and `end` give the bytes that are ready; they block."""

    def add(self, views: Sequence[View]) -> bytes: ...

    def end(self) -> bytes: ...


class Pieces:
    """Bytes as they come, cut into pieces of one size to be stored."""

    def __init__(self) -> None:
        self._left = bytearray()

    def take(self, content: bytes) -> list[bytes]:
        """Takes more bytes and gives the pieces that are full."""
        self._left += content
        full = len(self._left) // CHUNK_BYTES * CHUNK_BYTES
        pieces = [bytes(self._left[start : start + CHUNK_BYTES]) for start in range(0, full, CHUNK_BYTES)]
        del self._left[:full]
        return pieces

    def rest(self) -> list[bytes]:
        """The last piece."""
        return [bytes(self._left)] if self._left else []


def file_of(export: Export, columns: Sequence[Column]) -> File:
    """The file that an export wants."""
    kinds = {Format.CSV: CsvFile, Format.PARQUET: ParquetFile}
    return kinds[export.order.format](columns, export)


class CsvFile:
    """RFC 4180 in UTF-8; the watermark is a column, since a comment line would be a row to most who read it."""

    def __init__(self, columns: Sequence[Column], export: Export) -> None:
        self._columns = columns
        self._watermark = safe_text(export.watermark)
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._is_begun = False

    def add(self, views: Sequence[View]) -> bytes:
        self._writer.writerows(
            [*(_cell(column, column.value(view)) for column in self._columns), self._watermark] for view in views
        )
        return self._flushed() if views else b""

    def end(self) -> bytes:
        return self._flushed()

    def _flushed(self) -> bytes:
        rows = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        if self._is_begun:
            return rows.encode()
        self._is_begun = True
        self._writer.writerow([*(column.name for column in self._columns), WATERMARK])
        head = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return _BYTE_ORDER_MARK + head.encode() + rows.encode()


class ParquetFile:
    """One row group for each call of `add`; who made it when stands in the metadata too."""

    def __init__(self, columns: Sequence[Column], export: Export) -> None:
        self._columns = columns
        self._watermark = export.watermark
        fields = [pa.field(column.name, _TYPES[column.kind]) for column in columns]
        told = {WATERMARK: export.watermark, "purpose": export.order.purpose}
        self._schema = pa.schema([*fields, pa.field(WATERMARK, pa.string())], metadata=told)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), self._schema)

    def add(self, views: Sequence[View]) -> bytes:
        if views:
            columns = [[_typed(column, column.value(view)) for view in views] for column in self._columns]
            marks = [self._watermark] * len(views)
            arrays = [
                pa.array(values, field.type) for values, field in zip([*columns, marks], self._schema, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """Where a Parquet writer writes: its bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = bytearray()
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        piece = memoryview(content)  # pyright: ignore[reportArgumentType] -- pyarrow gives a buffer
        self._bytes += piece
        self._place += piece.nbytes
        return piece.nbytes

    def tell(self) -> int:
        return self._place

    def taken(self) -> bytes:
        content = bytes(self._bytes)
        self._bytes.clear()
        return content


def _cell(column: Column, value: Cell) -> str:
    """Numbers and days as they are, so that a spreadsheet computes with them; texts made safe."""
    match value:
        case None:
            return ""
        case int() if column.kind is ColumnKind.MONEY:
            return str(_money(value))
        case int():
            return str(value)
        case date():
            return value.isoformat()
        case str():
            return safe_text(value)


def _typed(column: Column, value: Cell) -> str | int | date | datetime | Decimal | None:
    return _money(value) if column.kind is ColumnKind.MONEY and isinstance(value, int) else value


def _money(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-_MINOR_DIGITS)
