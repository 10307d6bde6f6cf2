import datetime as dt

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis.sql.copy import copy_into

TEXTS = ["", None, 'say "no"', "two\nlines", "\\.", "\\.\n\\.\n", "\\N", "a,b", "贝岩榕 🌳", " ", "NULL", "\t\r\n"]


@pytest.fixture(autouse=True)
async def table(database):
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS copied"))
        await tx.execute(
            text("CREATE TABLE copied (n bigint, words text, day date, moment timestamptz, good boolean, size float8)")
        )


def batch(texts):
    count = len(texts)
    moment = dt.datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=dt.UTC)
    return pa.record_batch(
        {
            "n": pa.array(range(count), pa.int64()),
            "words": pa.array(texts, pa.string()),
            "day": pa.array([dt.date(1, 1, 1), None][:count] + [dt.date(9999, 12, 31)] * (count - 2)),
            "moment": pa.array([moment] * count, pa.timestamp("us", "UTC")),
            "good": pa.array([True, None][:count] + [False] * (count - 2)),
            "size": pa.array([0.1] * count),
        }
    )


async def test_every_text_and_every_null_arrives_as_it_was(database):
    async with database.begin() as tx:
        stored = await copy_into(tx, "copied", ["n", "words", "day", "moment", "good", "size"], [batch(TEXTS)])
    assert stored == len(TEXTS)
    async with database.read() as connection:
        rows = (await connection.execute(text("SELECT * FROM copied ORDER BY n"))).all()
    assert [tuple(row) for row in rows] == [tuple(row.values()) for row in batch(TEXTS).to_pylist()]


async def test_a_large_batch_goes_through_a_thread_unchanged(database):
    texts = ["x" * 1000] * 5000
    async with database.begin() as tx:
        await copy_into(tx, "copied", ["n", "words", "day", "moment", "good", "size"], [batch(texts)] * 2)
    async with database.read() as connection:
        count = await connection.execute(text("SELECT count(*) FROM copied WHERE length(words) = 1000"))
        assert count.scalar_one() == 10_000


async def test_copied_rows_are_gone_after_a_rollback(database):
    async def copy_and_fail():
        async with database.begin() as tx:
            await copy_into(tx, "copied", ["words"], [pa.record_batch({"words": ["a"]})])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await copy_and_fail()
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM copied"))).scalar_one() == 0


async def test_bytes_arrive_as_they_were_wherever_a_slice_of_them_begins(database):
    values = [b"\0\xff\\", None, b"", b"text", None, bytes(range(256))]
    rows = pa.record_batch({"bytes": pa.array(values, pa.binary())})
    async with database.begin() as tx:
        await tx.execute(text("CREATE TEMPORARY TABLE of_bytes (n serial, bytes bytea) ON COMMIT DROP"))
        await copy_into(tx, "of_bytes", ["bytes"], [rows, rows.slice(2, 3), rows.slice(1, 1), rows.slice(0, 0)])
        stored = (await tx.execute(text("SELECT bytes FROM of_bytes ORDER BY n"))).scalars().all()
    assert stored == [*values, *values[2:5], None]
