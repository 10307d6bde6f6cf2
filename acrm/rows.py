"""Checked rows on their way out: a Parquet file as an Arrow stream cut into pieces, or as batches of plain rows."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PIECE_BYTES_MAX = 2 << 20
_ROWS_PER_BATCH = 32_768


def arrow_pieces(path: Path, schema: pa.Schema) -> Iterator[tuple[bytes, int]]:
    """One Arrow IPC stream of exactly `schema`, in pieces below 2 MiB, each with the rows sent by then."""
    sink = _Sink()
    sent = 0
    with pq.ParquetFile(path) as file, pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as stream:
        for batch in file.iter_batches(_ROWS_PER_BATCH):
            stream.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            sent += batch.num_rows
            yield from ((piece, sent) for piece in sink.pieces())
    yield from ((piece, sent) for piece in sink.pieces())


def row_batches(path: Path, size: int) -> Iterator[list[dict[str, object]]]:
    """The rows of a file in its order, `size` at a time; instants as microseconds since 1970."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(size):
            columns = [
                column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in batch.columns
            ]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()


def row_count(path: Path) -> int:
    """The number of rows of a file."""
    return pq.read_metadata(path).num_rows


class _Sink:
    """What the Arrow writer writes to; keeps bytes until they are fetched."""

    def __init__(self) -> None:
        self._written = bytearray()
        self.closed = False

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def close(self) -> None:
        self.closed = True

    def pieces(self) -> Iterator[bytes]:
        while self._written:
            piece = bytes(self._written[:PIECE_BYTES_MAX])
            del self._written[:PIECE_BYTES_MAX]
            yield piece
