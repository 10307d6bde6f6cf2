from datetime import date

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acrm.engines import engine, quoted

SCHEMA = pa.schema([("customer_id", pa.string()), ("amount_minor", pa.int64()), ("day", pa.date32())])


@pytest.fixture
def local():
    with engine() as opened:
        yield opened


def test_a_sum_lands_in_the_declared_type(local, tmp_path):
    pq.write_table(
        pa.table({"customer_id": ["a", "a"], "amount_minor": [1, 2], "day": [None, None]}), tmp_path / "x.parquet"
    )
    table = local.read("rows", tmp_path / "x.parquet", SCHEMA)
    summed = table.group_by("customer_id").agg(amount_minor=ibis._.amount_minor.sum(), day=ibis._.day.max())
    assert local.write(summed, SCHEMA, tmp_path / "y.parquet") == 1
    assert [field.type for field in pq.read_schema(tmp_path / "y.parquet")] == [field.type for field in SCHEMA]


def test_a_file_that_is_not_there_is_an_empty_table(local, tmp_path):
    table = local.read("rows", tmp_path / "none.parquet", SCHEMA)
    assert local.write(table, SCHEMA, tmp_path / "y.parquet") == 0
    assert [field.type for field in pq.read_schema(tmp_path / "y.parquet")] == [field.type for field in SCHEMA]


def test_a_stage_lands_in_types_that_the_next_one_can_be_united_with(local, tmp_path):
    table = local.read("rows", tmp_path / "none.parquet", SCHEMA)
    counted = table.mutate(one=ibis.literal(1)).agg(count=ibis._.one.count(), day=ibis._.day.max())
    assert local.write_stage(counted, tmp_path / "counted.parquet") == 1
    kept = local.read_stage("counted", tmp_path / "counted.parquet")
    assert kept.schema() == ibis.schema({"count": "int64", "day": "date"})
    twice = ibis.union(kept, table.select(count="amount_minor", day="day"))
    assert local.write_stage(twice, tmp_path / "twice.parquet") == 1


def test_a_write_that_fails_leaves_the_file_of_before(local, tmp_path):
    target = tmp_path / "y.parquet"
    local.write_sql("SELECT 'a' AS customer_id, 1 AS amount_minor, DATE '2026-06-30' AS day", SCHEMA, target)
    with pytest.raises(Exception, match="Conversion"):
        local.write_sql("SELECT 'b' AS customer_id, 'much' AS amount_minor, NULL AS day", SCHEMA, target)
    [row] = pq.read_table(target).to_pylist()
    assert row == {"customer_id": "a", "amount_minor": 1, "day": date(2026, 6, 30)}


@pytest.mark.parametrize("url", ["", "spark://host:7077", "postgresql://x"])
def test_an_engine_that_is_not_known_is_refused(url):
    with pytest.raises(ValueError, match="no engine"), engine(url):
        pass


def test_a_quote_in_a_text_stays_in_the_text(local):
    text = "it's '; DROP"
    assert local.rows("SELECT " + quoted(text)) == [(text,)]


def test_what_does_not_fit_into_memory_leaves_the_working_directory_alone(tmp_path, monkeypatch):
    for name in ("here", "spill"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with engine(folder=tmp_path / "spill") as opened:
        opened.run("SET memory_limit = '40MB'")
        opened.run("CREATE TABLE much AS SELECT hash(range) AS one, hash(range + 1) AS other FROM range(5000000)")
        assert list((tmp_path / "spill").rglob("*.tmp"))
        assert list((tmp_path / "here").iterdir()) == []
    assert list((tmp_path / "spill").iterdir()) == []
