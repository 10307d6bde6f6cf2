import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acrm.rows import PIECE_BYTES_MAX, arrow_pieces, row_batches, row_count
from acrm.tables import FEED


@pytest.fixture
def products(tmp_path):
    """A file of products too large for one piece."""
    rows = [{"product_id": f"p{n}", "display_name": "x" * 100, "category": "y"} for n in range(100_000)]
    pq.write_table(pa.Table.from_pylist(rows, schema=FEED["products"].schema), tmp_path / "products.parquet")
    return tmp_path / "products.parquet"


def test_the_pieces_are_one_arrow_stream_with_the_tables_own_schema(products):
    pieces = list(arrow_pieces(products, FEED["products"].schema))
    assert len(pieces) > 5
    assert all(len(piece) <= PIECE_BYTES_MAX for piece, _ in pieces)
    read = pa.ipc.open_stream(io.BytesIO(b"".join(piece for piece, _ in pieces))).read_all()
    assert read.schema == FEED["products"].schema
    assert read.to_pylist() == pq.read_table(products).to_pylist()


def test_each_piece_tells_how_many_rows_are_sent(products):
    counts = [sent for _, sent in arrow_pieces(products, FEED["products"].schema)]
    assert counts == sorted(counts)
    assert counts[-1] == row_count(products) == 100_000


def test_a_table_without_rows_is_a_stream_of_its_schema(tmp_path):
    pq.write_table(FEED["contacts"].schema.empty_table(), tmp_path / "none.parquet")
    pieces = [piece for piece, _ in arrow_pieces(tmp_path / "none.parquet", FEED["contacts"].schema)]
    read = pa.ipc.open_stream(io.BytesIO(b"".join(pieces))).read_all()
    assert (read.num_rows, read.schema) == (0, FEED["contacts"].schema)
    assert list(row_batches(tmp_path / "none.parquet", 10)) == []


def test_batches_of_rows_keep_order_and_tell_instants_in_microseconds(tmp_path):
    at = datetime(2026, 6, 30, 4, 0, 0, 123456, tzinfo=UTC)
    row = {"transaction_id": "t", "account_id": "a", "event_time": at, "direction": "IN", "amount_minor": 1}
    rows = [row | {"transaction_id": f"t{n}", "standing_order": False, "own_transfer": True} for n in range(25)]
    pq.write_table(pa.Table.from_pylist(rows, schema=FEED["transactions"].schema), tmp_path / "t.parquet")
    batches = list(row_batches(tmp_path / "t.parquet", 10))
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert [one["transaction_id"] for batch in batches for one in batch] == [f"t{n}" for n in range(25)]
    assert batches[0][0]["event_time"] == int(at.timestamp()) * 1_000_000 + 123456
