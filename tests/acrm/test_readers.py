import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acrm.readers import find_files, gather
from acrm.tables import FEED

PRODUCTS = FEED["products"]
HEADER = "product_id,display_name,category\n"


@pytest.fixture
def read(tmp_path):
    """Gathers a products file of the given bytes or table; answers its rows and faults."""

    def run(content):
        if isinstance(content, pa.Table):
            path = tmp_path / "products.parquet"
            pq.write_table(content, path)
        else:
            path = tmp_path / "products.csv"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        faults = gather(PRODUCTS, [path], tmp_path, tmp_path / "target.parquet")
        return pq.read_table(tmp_path / "target.parquet").to_pylist(), faults

    return run


def lines_of(rows):
    return [(row["line"], row["product_id"]) for row in rows]


def test_a_line_break_in_quotes_does_not_shift_the_lines(read):
    rows, faults = read(HEADER + 'a,"one\n\ntwo",x\nb,y,x\nc,"z\n",x\nd,y,x\n')
    assert lines_of(rows) == [(2, "a"), (5, "b"), (6, "c"), (8, "d")]
    assert rows[0]["display_name"] == "one\n\ntwo"
    assert faults == []


def test_a_line_of_the_wrong_width_is_reported_and_the_others_keep_their_lines(read):
    rows, faults = read(HEADER + "a,y,x\nb,y\nc,y,x\nd,y,x,z\ne,y,x\n")
    assert lines_of(rows) == [(2, "a"), (4, "c"), (6, "e")]
    assert [(fault.line, fault.reason) for fault in faults] == [
        (3, "has 2 values instead of 3"),
        (5, "has 4 values instead of 3"),
    ]


def test_blank_lines_are_no_rows(read):
    rows, faults = read(HEADER + "a,y,x\n\nb,y,x\n\n")
    assert (lines_of(rows), faults) == ([(2, "a"), (4, "b")], [])


def test_a_byte_order_mark_windows_line_ends_and_quoted_names_are_read(read):
    rows, faults = read(b'\xef\xbb\xbf"product_id","display_name","category"\r\na,"y, z",x\r\n')
    assert (lines_of(rows), faults) == ([(2, "a")], [])
    assert rows[0]["display_name"] == "y, z"


def test_bytes_that_are_no_utf8_are_reported_by_line_and_column(read):
    rows, faults = read(HEADER.encode() + b"a,y,x\nb," + "手机".encode("gbk") + b",x\nc,y,x\n")
    assert lines_of(rows) == [(2, "a"), (4, "c")]
    assert [(fault.line, fault.column, fault.reason) for fault in faults] == [(3, "display_name", "is not UTF-8")]


def test_lines_are_right_beyond_the_first_block(read):
    count = 400_000
    body = "".join(f"p{i},a name that fills the block,x\n" for i in range(count))
    rows, faults = read(HEADER + body + "short\nlast,y,x\n")
    assert lines_of(rows)[-1] == (count + 3, "last")
    assert [row["line"] for row in rows[:-1]] == list(range(2, count + 2))
    assert [fault.line for fault in faults] == [count + 2]


def test_columns_may_come_in_any_order(read):
    rows, faults = read("category,product_id,display_name\nx,a,y\n")
    assert faults == []
    assert rows == [{"file": "products.csv", "line": 2, "product_id": "a", "display_name": "y", "category": "x"}]


@pytest.mark.parametrize(
    ("header", "column", "reason"),
    [
        ("product_id,category", "display_name", "is missing"),
        ("product_id,display_name,category,colour", "colour", "is no column of this table"),
        ("product_id,display_name,category,category", "category", "stands there twice"),
        ("", "product_id", "is missing"),
    ],
)
def test_a_header_that_is_wrong(header, column, reason, read):
    rows, faults = read(header + "\n" + ",".join("x" for _ in header.split(",")) + "\n")
    assert rows == []
    assert (0, column, reason) in [(fault.line, fault.column, fault.reason) for fault in faults]


def test_an_optional_column_may_be_absent(tmp_path):
    path = tmp_path / "branches.csv"
    path.write_text("branch_id,display_name\nb1,One\n")
    assert gather(FEED["branches"], [path], tmp_path, tmp_path / "target.parquet") == []
    assert pq.read_table(tmp_path / "target.parquet").to_pylist()[0]["parent_id"] is None


def test_other_physical_types_of_the_same_values_are_read(read):
    table = pa.table(
        {
            "product_id": pa.array(["a", "b"], pa.large_string()),
            "display_name": pa.array(["x", "x"]).dictionary_encode(),
            "category": pa.array([None, None], pa.null()),
        }
    )
    rows, faults = read(table)
    assert (lines_of(rows), faults) == ([(1, "a"), (2, "b")], [])


def test_a_parquet_column_of_another_type_is_reported_once(read):
    rows, faults = read(pa.table({"product_id": [1, 2], "display_name": ["x", "y"], "category": ["x", "y"]}))
    assert rows == []
    assert [(f.line, f.column, f.reason) for f in faults] == [(0, "product_id", "has the type int64 instead of string")]


def test_a_file_that_is_no_parquet_is_reported(tmp_path):
    path = tmp_path / "products.parquet"
    path.write_text("hello")
    [fault] = gather(PRODUCTS, [path], tmp_path, tmp_path / "target.parquet")
    assert (fault.line, fault.reason[:14]) == (0, "cannot be read")


def test_a_parquet_file_that_ends_early_is_reported(tmp_path):
    path = tmp_path / "products.parquet"
    rows = [{"product_id": f"p{n}", "display_name": "x" * n, "category": "y"} for n in range(2000)]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="none")
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 200 + whole[300:])
    [fault] = gather(PRODUCTS, [path], tmp_path, tmp_path / "target.parquet")
    assert (fault.line, fault.reason[:14]) == (0, "cannot be read")


def test_a_time_without_a_zone_is_refused(tmp_path):
    table = FEED["contacts"].schema.empty_table().cast(FEED["contacts"].schema)
    index = table.schema.get_field_index("contact_time")
    pq.write_table(
        table.set_column(index, "contact_time", pa.array([], pa.timestamp("us"))), tmp_path / "contacts.parquet"
    )
    faults = gather(FEED["contacts"], [tmp_path / "contacts.parquet"], tmp_path, tmp_path / "target.parquet")
    assert [(f.column, f.reason) for f in faults] == [
        ("contact_time", "has the type timestamp[us] instead of timestamp[us, tz=UTC]")
    ]


def test_parts_in_a_folder_are_one_table(tmp_path):
    folder = tmp_path / "products"
    folder.mkdir()
    for part in ("1", "2"):
        (folder / f"{part}.csv").write_text(f"{HEADER}p{part},x,y\n")
    found = find_files(tmp_path, {"products": PRODUCTS})
    assert (found.faults, [path.name for path in found.files["products"]]) == ([], ["1.csv", "2.csv"])
    gather(PRODUCTS, found.files["products"], tmp_path, tmp_path / "target.parquet")
    rows = pq.read_table(tmp_path / "target.parquet").to_pylist()
    assert [(row["file"], row["line"]) for row in rows] == [("products/1.csv", 2), ("products/2.csv", 2)]


def test_files_that_are_missing_unknown_or_double_are_reported(tmp_path):
    for name in ("custmers.csv", "products.csv", "products.parquet"):
        (tmp_path / name).touch()
    (tmp_path / "README.txt").touch()
    faults = find_files(tmp_path, FEED).faults
    assert [(fault.table, fault.reason) for fault in faults] == [
        ("custmers", "is no table of the feed"),
        ("products", "is given twice: products.csv, products.parquet"),
        ("branches", "branches.parquet or branches.csv is missing"),
        ("customers", "customers.parquet or customers.csv is missing"),
    ]
