import asyncio
import dataclasses
import io
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from sqlalchemy import BigInteger, Column, Date, DateTime, Index, MetaData, Table, Text, text

from chassis.errors import Kind, Refused
from chassis.sql.bulk import (
    BulkCounts,
    BulkImport,
    BulkTable,
    Staged,
    default_upsert,
    try_lock_imports,
    unknown_references,
)
from chassis.sql.business_day import business_day
from chassis.sql.tables import rev_column

DAY = date(2026, 3, 1)
SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("customer_type", pa.string(), nullable=False, metadata={"codes": "INDIVIDUAL,CORPORATE"}),
        pa.field("display_name", pa.string()),
        pa.field("parent_id", pa.string()),
        pa.field("roles", pa.string(), metadata={"codes": "MANAGER,TELLER", "separator": ";"}),
        pa.field("birth_date", pa.date32()),
        pa.field("seen_time", pa.timestamp("us", "UTC")),
        pa.field("balance_minor", pa.int64()),
    ]
)
GOOD = {
    "customer_id": "C1",
    "customer_type": "INDIVIDUAL",
    "display_name": '王 "小" 明\n',
    "parent_id": None,
    "roles": "TELLER;MANAGER",
    "birth_date": date(1980, 2, 29),
    "seen_time": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "balance_minor": -5,
}
METADATA = MetaData()
CUSTOMER = Table(
    "customer",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("customer_type", Text, nullable=False),
    Column("display_name", Text),
    Column("parent_id", Text),
    Column("roles", Text),
    Column("birth_date", Date),
    Column("seen_time", DateTime(timezone=True)),
    Column("balance_minor", BigInteger),
    rev_column(),
    Index("customer_rev", "rev", "customer_id"),
)
ACCOUNT_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("account_id", "customer_id")]
    + [pa.field("balance_minor", pa.int64())]
)
ACCOUNT = Table(
    "account",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("balance_minor", BigInteger),
)


async def known_customers(tx, staging):
    return await unknown_references(tx, staging, "customer_id", "customer", "customer_id")


@pytest.fixture
async def imports(database):
    async with database.begin() as tx:
        await tx.execute(text("DELETE FROM business_day"))
        await tx.run_sync(METADATA.drop_all)
        await tx.run_sync(METADATA.create_all)
    return BulkImport(
        database,
        [
            BulkTable("customers", SCHEMA, ("customer_id",), default_upsert(CUSTOMER, ["customer_id"], SCHEMA.names)),
            BulkTable(
                "accounts",
                ACCOUNT_SCHEMA,
                ("customer_id", "account_id"),
                default_upsert(ACCOUNT, ["customer_id", "account_id"], ACCOUNT_SCHEMA.names, root=CUSTOMER),
                known_customers,
            ),
        ],
    )


def rows(*changes, schema=SCHEMA):
    return pa.RecordBatch.from_pylist([GOOD | {"customer_id": f"C{n}"} | c for n, c in enumerate(changes)], schema)


def as_stream(*batches, size=1000):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return in_pieces(sink.getvalue(), size)


async def in_pieces(data, size):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def stored(database, query="SELECT count(*) FROM customer"):
    async with database.read() as connection:
        return (await connection.execute(text(query))).scalar_one()


async def refusal(imports, stream, table="customers"):
    with pytest.raises(Refused) as raised:
        await imports.run(table, DAY, stream)
    assert raised.value.kind is Kind.INVALID
    return raised.value


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_a_stream_may_be_cut_anywhere(imports, size):
    batches = [rows({"customer_id": "A"}, {"customer_id": "B"}), rows(), rows({"customer_id": "C"})]
    counts = await imports.run("customers", DAY, as_stream(*batches, size=size))
    assert counts == BulkCounts(received=3, inserted=3, updated=0, unchanged=0)


async def test_rows_arrive_as_they_are(imports, database):
    counts = await imports.run("customers", DAY, as_stream(rows({}, {"display_name": ""}, {"display_name": None})))
    assert counts == BulkCounts(received=3, inserted=3, updated=0, unchanged=0)
    async with database.read() as connection:
        result = await connection.execute(text("SELECT * FROM customer ORDER BY customer_id"))
        found = [dict(row._mapping) for row in result]
        assert await business_day(connection) == DAY
    for row in found:
        del row["rev"]
    assert found == rows({}, {"display_name": ""}, {"display_name": None}).to_pylist()


async def test_only_what_differs_is_written(imports, database):
    await imports.run("customers", DAY, as_stream(rows({}, {}, {})))
    before = await stored(
        database, "SELECT array_agg(ROW(ctid, xmin, xmax, rev)::text ORDER BY customer_id) FROM customer"
    )
    counts = await imports.run("customers", DAY, as_stream(rows({}, {"balance_minor": None}, {}, {})))
    assert counts == BulkCounts(received=4, inserted=1, updated=1, unchanged=2)
    after = await stored(
        database, "SELECT array_agg(ROW(ctid, xmin, xmax, rev)::text ORDER BY customer_id) FROM customer"
    )
    assert [old == new for old, new in zip(before, after, strict=False)] == [True, False, True]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("customer_id", None, "is required"),
        ("customer_id", "", "must be an id"),
        ("customer_id", "a b", "must be an id"),
        ("customer_id", "C1\n", "must be an id"),
        ("customer_id", "c" * 65, "must be an id"),
        ("parent_id", "no/slash", "must be an id"),
        ("customer_type", None, "is required"),
        ("customer_type", "individual", "must be of INDIVIDUAL, CORPORATE"),
        ("customer_type", "", "must be of INDIVIDUAL, CORPORATE"),
        ("display_name", "a\0b", "NUL"),
        ("display_name", "x" * 4001, "longer"),
        ("roles", "TELLER;BOSS", "must be of MANAGER, TELLER"),
        ("roles", "TELLER;", "must be of MANAGER, TELLER"),
    ],
)
async def test_a_bad_value_is_named_by_row_and_field(imports, database, column, value, problem):
    refused = await refusal(imports, as_stream(rows({}, {}, {column: value}), rows({"customer_id": "D1"})))
    assert refused.reason == "ROW_INVALID"
    assert [(violation.field) for violation in refused.violations] == [f"rows[2].{column}"]
    assert problem in refused.violations[0].description
    assert refused.metadata["row"] == "2"
    assert refused.metadata["field"] == column
    assert refused.metadata["bad_rows"] == "1"
    assert await stored(database) == 0
    assert await stored(database, "SELECT count(*) FROM business_day") == 0


async def test_a_day_that_the_database_cannot_hold_is_refused(imports):
    column = SCHEMA.get_field_index("birth_date")
    far = rows({}).set_column(column, SCHEMA.field("birth_date"), pa.array([2**31 - 1], pa.int32()).cast(pa.date32()))
    refused = await refusal(imports, as_stream(far))
    assert refused.violations[0].field == "rows[0].birth_date"


async def test_text_that_is_not_utf8_is_refused_by_row(imports):
    broken = pa.array([b"fine", b"\xff"]).view(pa.string())
    column = SCHEMA.get_field_index("display_name")
    refused = await refusal(imports, as_stream(rows({}, {}).set_column(column, "display_name", broken)))
    assert refused.violations[0].field == "rows[1].display_name"


async def test_of_many_bad_rows_fifty_are_named_and_all_are_counted(imports, database):
    bad = [{"customer_type": "X"} if n % 2 else {} for n in range(400)]
    refused = await refusal(imports, as_stream(rows(*bad[:200]), rows(*bad[200:])))
    assert len(refused.violations) == 50
    assert refused.violations[49].field == "rows[99].customer_type"
    assert refused.metadata["bad_rows"] == "200"
    assert await stored(database) == 0


async def test_a_key_that_comes_twice_is_refused(imports, database):
    refused = await refusal(imports, as_stream(rows({}, {}, {"customer_id": "C0"}, {"customer_id": "C0"})))
    assert [violation.field for violation in refused.violations] == ["rows[2].customer_id", "rows[3].customer_id"]
    assert "rows[0]" in refused.violations[0].description
    assert await stored(database) == 0


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (SCHEMA.append(pa.field("extra", pa.string())), "columns.extra"),
        (SCHEMA.remove(0), "columns.customer_id"),
        (SCHEMA.set(7, pa.field("balance_minor", pa.float64())), "columns.balance_minor"),
        (SCHEMA.set(6, pa.field("seen_time", pa.timestamp("us"))), "columns.seen_time"),
        (SCHEMA.append(pa.field("roles", pa.string())), "columns.roles"),
    ],
)
async def test_another_schema_is_refused_by_column(imports, schema, field):
    refused = await refusal(imports, as_stream(empty(schema)))
    assert [violation.field for violation in refused.violations] == [field]


def empty(schema):
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


async def test_columns_may_come_in_any_order_and_optional_ones_may_be_missing(imports, database):
    schema = pa.schema([SCHEMA.field("customer_type"), pa.field("customer_id", pa.large_string())])
    batch = pa.RecordBatch.from_pylist([{"customer_id": "C1", "customer_type": "CORPORATE"}], schema)
    assert (await imports.run("customers", DAY, as_stream(batch))).inserted == 1
    assert await stored(database, "SELECT customer_type FROM customer WHERE display_name IS NULL") == "CORPORATE"


@pytest.mark.parametrize("data", [b"", b"no arrow at all", b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 3, b"\0" * 64])
async def test_what_is_not_arrow_is_refused(imports, data):
    refused = await refusal(imports, in_pieces(data, 5))
    assert refused.violations[0].field == "arrow"


async def test_a_stream_that_stops_early_stores_nothing(imports, database):
    whole = b"".join([piece async for piece in as_stream(rows(*[{}] * 50), rows({"customer_id": "D1"}))])
    refused = await refusal(imports, in_pieces(whole[: len(whole) // 2], 100))
    assert refused.violations[0].field == "arrow"
    assert await stored(database) == 0


async def test_an_unknown_table_is_refused(imports):
    refused = await refusal(imports, as_stream(rows({})), "secrets")
    assert refused.reason == "TABLE_UNKNOWN"
    assert refused.metadata["table"] == "secrets"


async def test_a_row_that_names_nothing_is_refused(imports, database):
    await imports.run("customers", DAY, as_stream(rows({}, {})))
    accounts = [{"account_id": "A1", "customer_id": "C1"}, {"account_id": "A2", "customer_id": "C9"}]
    refused = await refusal(imports, as_stream(pa.RecordBatch.from_pylist(accounts, ACCOUNT_SCHEMA)), "accounts")
    assert refused.reason == "REFERENCE_UNKNOWN"
    assert refused.metadata == {"row": "1", "field": "customer_id", "value": "C9", "bad_rows": "1"}
    assert await stored(database, "SELECT count(*) FROM account") == 0


async def test_a_part_that_changes_moves_only_its_root(imports, database):
    await imports.run("customers", DAY, as_stream(rows({}, {})))
    query = "SELECT array_agg(rev::text ORDER BY customer_id) FROM customer"
    accounts = [{"account_id": "A1", "customer_id": "C1", "balance_minor": 1}]
    before = await stored(database, query)
    for _ in range(2):
        await imports.run("accounts", DAY, as_stream(pa.RecordBatch.from_pylist(accounts, ACCOUNT_SCHEMA)))
        after = await stored(database, query)
        assert [old == new for old, new in zip(before, after, strict=True)] == [True, after == before]
        before = after


async def test_imports_of_one_table_at_the_same_time_agree(imports, database):
    both = [rows(*[{"balance_minor": amount}] * 300) for amount in (1, 2)]
    other = BulkImport(database, list(imports._tables.values()))
    counts = await asyncio.gather(*(i.run("customers", DAY, as_stream(b)) for i in (imports, other) for b in both))
    assert sum(count.inserted for count in counts) == 300
    assert await stored(database, "SELECT count(DISTINCT balance_minor) FROM customer") == 1


async def test_a_sender_that_fails_stores_nothing_and_leaves_no_lock(imports, database):
    async def failing():
        async for piece in as_stream(rows({})):
            yield piece[: len(piece) // 2]
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await imports.run("customers", DAY, failing())
    assert await stored(database) == 0
    assert (await imports.run("customers", DAY, as_stream(rows({})))).inserted == 1


async def test_a_call_that_is_cancelled_while_it_waits_for_rows_ends_at_once(imports):
    async def hanging():
        yield b"".join([piece async for piece in as_stream(rows({}))])[:100]
        await asyncio.Event().wait()

    for _ in range(3):  # more than the threads there are
        running = asyncio.create_task(imports.run("customers", DAY, hanging()))
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.wait([running], timeout=5)
        assert running.cancelled()
    assert (await imports.run("customers", DAY, as_stream(rows({})))).inserted == 1


async def test_more_rows_than_one_commit_takes_all_arrive(imports, database):
    batches = [rows(*[{"customer_id": f"K{n:06}"} for n in range(s, s + 15_000)]) for s in range(0, 45_000, 15_000)]
    counts = await imports.run("customers", DAY, as_stream(*batches, size=1 << 20))
    assert counts == BulkCounts(received=45_000, inserted=45_000, updated=0, unchanged=0)
    assert await stored(database, "SELECT count(DISTINCT rev::text) FROM customer") == 3


async def test_what_starts_and_finishes_an_import_sees_all_rows_or_none_under_its_lock(imports, database):
    seen = []

    async def look(tx, staging, business_date):
        held = await tx.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"))
        lines = await tx.execute(text(f"SELECT count(*), (SELECT count(*) FROM customer) FROM {staging}"))
        seen.append((held.scalar_one() > 0, *lines.one(), business_date))

    table = dataclasses.replace(imports._tables["customers"], start=look, finish=look)
    await BulkImport(database, [table]).run("customers", DAY, as_stream(rows({}, {})))
    assert seen == [(True, 2, 0, DAY), (True, 2, 2, DAY)]


async def test_an_import_that_is_refused_at_its_start_stores_nothing(imports, database):
    async def refuse(tx, staging, business_date):
        assert (await tx.execute(text("SELECT count(*) FROM customer"))).scalar_one() == 0
        raise Refused(Kind.INVALID, "ROW_INVALID", f"{staging} of {business_date} comes too late")

    table = dataclasses.replace(imports._tables["customers"], start=refuse)
    await refusal(BulkImport(database, [table]), as_stream(rows({})))
    assert await stored(database) == 0
    assert await stored(database, "SELECT count(*) FROM business_day") == 0


async def test_what_is_staged_in_place_of_the_rows_is_all_that_is_stored(database):
    """A table may stage other columns, bytes too; checks are of the rows that arrived."""
    schema = pa.schema([pa.field("customer_id", pa.string(), nullable=False), pa.field("display_name", pa.string())])
    staged = pa.schema([pa.field("customer_id", pa.string()), pa.field("length", pa.int64())])

    def transform(batch):
        lengths = pa.array([len(name) for name in batch.column("display_name").to_pylist()])
        columns = [batch.column(0), batch.column("customer_id"), lengths]
        return pa.RecordBatch.from_arrays(columns, names=[batch.schema.names[0], *staged.names])

    async def upsert(tx, staging, *_):
        seen.append([tuple(row) for row in await tx.execute(text(f"SELECT * FROM {staging} ORDER BY 1"))])
        assert not await try_lock_imports(second, "sized")
        return len(seen[-1]), 0

    seen = []
    table = BulkTable("sized", schema, ("customer_id",), upsert, staged=Staged(staged, transform))
    small = BulkImport(database, [table])
    async with database.begin() as second:
        counts = await small.run(
            "sized",
            DAY,
            as_stream(
                pa.RecordBatch.from_pylist(
                    [{"customer_id": "C1", "display_name": "abc"}, {"customer_id": "C2", "display_name": "d"}], schema
                )
            ),
        )
        assert await try_lock_imports(second, "sized")
    assert (counts.inserted, seen) == (2, [[(0, "C1", 3), (1, "C2", 1)]])
    bad = pa.RecordBatch.from_pylist([{"customer_id": "no id", "display_name": "abc"}], schema)
    assert (await refusal(small, as_stream(bad), "sized")).violations[0].field == "rows[0].customer_id"


async def test_what_many_rows_filled_is_planned_for_at_once(imports, database):
    assert await stored(database, "SELECT reltuples FROM pg_class WHERE relname = 'account'") == -1
    await imports.run("customers", DAY, as_stream(rows({"customer_id": "A"})))
    many = pa.RecordBatch.from_pylist(
        [{"account_id": f"N{n:04}", "customer_id": "A", "balance_minor": 1} for n in range(1000)], ACCOUNT_SCHEMA
    )
    table = BulkTable(
        "accounts",
        ACCOUNT_SCHEMA,
        ("customer_id", "account_id"),
        default_upsert(ACCOUNT, ["customer_id", "account_id"], ACCOUNT_SCHEMA.names),
        fills=("account",),
    )
    await BulkImport(database, [table]).run("accounts", DAY, as_stream(many, size=100_000))
    assert await stored(database, "SELECT reltuples FROM pg_class WHERE relname = 'account'") == 1000
