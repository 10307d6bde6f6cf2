import csv
import io
import tracemalloc
from datetime import UTC, date, datetime

import pyarrow.parquet as pq
import pytest

from services.customer_svc.domain.business import BranchBusiness, Totals
from services.customer_svc.domain.customer import Identity, View
from services.customer_svc.domain.exports import COLUMNS, Export, Format, Order
from services.customer_svc.domain.viewing import Level
from services.customer_svc.usecases.export_files import CHUNK_BYTES, Pieces, file_of

NAMES = ("customer", "display_name", "birth_date", "update_time", "own.deposit_balance", "own.loan_count")
MADE = datetime(2026, 6, 30, 8, tzinfo=UTC)
EXPORT_ID = "0197c0de-0000-7000-8000-000000000000"
MARK = f"h1 2026-06-30T08:00:00+00:00 {EXPORT_ID}"


def export_as(file_format: Format) -> Export:
    return Export(EXPORT_ID, "h1", Order("回访", file_format, NAMES), 0, 0, MADE, MADE)


def person(number: int, name: str | None = "王小明", balance_minor: int | None = 123_45) -> View:
    identity = Identity(f"c{number}", display_name=name, birth_date=date(1990, 1, 1), update_time=MADE)
    own = BranchBusiness("b1", Totals(deposit_balance_minor=balance_minor, loan_count=2))
    return View(Level.PRIMARY, identity, own=own)


def whole(file_format: Format, *pages: list[View]) -> bytes:
    file = file_of(export_as(file_format), [COLUMNS[name] for name in NAMES])
    return b"".join([*(file.add(page) for page in pages), file.end()])


def test_csv_is_what_rfc_4180_says() -> None:
    content = whole(Format.CSV, [person(1, 'a "b",\r\nc')], [person(2, None, -5)])
    assert (
        content
        == (
            "\ufeffcustomer,display_name,birth_date,update_time,own.deposit_balance,own.loan_count,exported_by\r\n"
            f'c1,"a ""b"",\r\nc",1990-01-01,2026-06-30T08:00:00+00:00,123.45,2,{MARK}\r\n'
            f"c2,,1990-01-01,2026-06-30T08:00:00+00:00,-0.05,2,{MARK}\r\n"
        ).encode()
    )


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_texts_that_would_run_begin_with_an_apostrophe(name) -> None:
    rows = csv.reader(io.StringIO(whole(Format.CSV, [person(1, name)]).decode("utf-8-sig"), newline=""))
    assert next(row for row in rows if row[0] == "c1")[1] == f"'{name}"


def test_parquet_keeps_texts_as_they_are_and_money_exact() -> None:
    table = pq.read_table(io.BytesIO(whole(Format.PARQUET, [person(1, "=1+1")], [person(2, None, 2**63 - 1)])))
    assert table.column("display_name").to_pylist() == ["=1+1", None]
    assert [str(amount) for amount in table.column("own.deposit_balance").to_pylist()] == [
        "123.45",
        "92233720368547758.07",
    ]
    assert table.schema.metadata[b"purpose"].decode() == "回访"


@pytest.mark.parametrize("file_format", list(Format))
def test_a_file_of_nobody_has_its_head(file_format) -> None:
    content = whole(file_format)
    if file_format is Format.CSV:
        assert content.count(b"\r\n") == 1
    else:
        assert pq.read_table(io.BytesIO(content)).num_rows == 0


def test_pieces_have_one_size_but_for_the_last() -> None:
    pieces = Pieces()
    cut = [*pieces.take(b"x" * (CHUNK_BYTES + 1)), *pieces.take(b"y" * CHUNK_BYTES), *pieces.rest()]
    assert [len(piece) for piece in cut] == [CHUNK_BYTES, CHUNK_BYTES, 1]
    assert b"".join(cut) == b"x" * (CHUNK_BYTES + 1) + b"y" * CHUNK_BYTES
    assert Pieces().rest() == []


@pytest.mark.parametrize("file_format", list(Format))
def test_memory_does_not_grow_with_the_file(file_format) -> None:
    page = [person(number) for number in range(500)]

    def peak(pages: int) -> int:
        file = file_of(export_as(file_format), [COLUMNS[name] for name in NAMES])
        tracemalloc.start()
        for _ in range(pages):
            file.add(page)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(40) < 2 * peak(4)
