"""Rows per second of ImportRows into customer_svc, against psql's COPY into staging and an upsert, nothing sealed.

Both start from bytes that are ready: the service from an Arrow stream in pieces over gRPC, psql from a CSV file. The
service checks every row, seals and hashes id numbers and mobiles, and commits 20,000 rows at a time, where the limit
keeps them in clear and commits all at once. The figures of its parts are each measured alone, on all of the rows.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import pyarrow as pa
import uvloop
from banyan.customer.v1 import import_service_pb2 as pb
from banyan.customer.v1 import import_service_pb2_grpc
from google.type import date_pb2
from sqlalchemy import Column, MetaData, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import servers
from bench.results import Result
from chassis import clock
from chassis.data_keys import ContactKind, DataKeys, make_missing_data_keys
from chassis.server import Served
from chassis.sql.arrow_rows import ROW_COLUMN
from chassis.sql.bulk import BulkImport, BulkTable
from chassis.sql.copy import copy_csv, to_csv
from chassis.sql.engine import Database
from chassis.sql.upsert import Upsert, default_upsert
from chassis.testing import SignedIn, app_of, in_process
from chassis.wakeups import Wakeups
from devstack.demo_people import make_people
from devstack.home import Home
from devstack.postgres import Postgres
from services.customer_svc.rpc.import_service import CustomerImportServicer
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.store import MIGRATIONS
from services.customer_svc.store.imports import bulk_tables

ROUNDS = 3
CUSTOMERS = 200_000
DATABASE = "bench_customer"
_PIECE_BYTES = 3 * 1024 * 1024
_DAY = date(2026, 6, 30)
_IMPORT_SECONDS = 300.0
_LAST = "\U0010ffff"
# The same table as it would be without sealing: both values in clear, found by their own indexes; what searches read is
# kept beside it by the same function.
_PLAIN = """
CREATE TABLE plain (LIKE customers INCLUDING ALL) WITH (fillfactor = 90);
ALTER TABLE plain DROP COLUMN id_number_hash, DROP COLUMN mobile_hash,
  ADD COLUMN id_number text, ADD COLUMN mobile text;
CREATE INDEX ON plain (id_number) WHERE id_number IS NOT NULL;
CREATE INDEX ON plain (mobile) WHERE mobile IS NOT NULL;
CREATE TRIGGER plain_added AFTER INSERT ON plain
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_to_search()"""


@dataclass(frozen=True)
class Bench:
    """What is measured, and by what."""

    home: Home
    server: Postgres
    database: Database
    table: BulkTable
    keys: DataKeys
    rows: pa.Table


def measure(rounds: int = ROUNDS, customers: int = CUSTOMERS) -> list[Result]:
    """Into an empty table, and the same rows again, none of which is then written."""
    with servers.home() as home, servers.postgres_of(home) as server:
        url = servers.database(server, DATABASE, MIGRATIONS)
        make_missing_data_keys(home.root / "data-keys", clock.now())
        keys = DataKeys(home.root / "data-keys")
        (table,) = (table for table in bulk_tables(keys) if table.name == "customers")
        rows = make_people(customers, 1, _DAY).customers.combine_chunks()
        return uvloop.run(_measure(Bench(home, server, Database(url), table, keys, rows), rounds))


async def _measure(bench: Bench, rounds: int) -> list[Result]:
    csv = bench.home.root / "customers.csv"
    csv.write_bytes(b"".join(to_csv(batch) for batch in bench.rows.to_batches()))
    plain = default_upsert(_plain_table(bench.table), bench.table.key, bench.table.schema.names)
    async with bench.database.begin() as tx:
        for statement in _PLAIN.split(";"):
            await tx.execute(text(statement))
    pieces = _pieces(bench.rows)
    taken: dict[str, list[tuple[float, float]]] = {"new": [], "same": []}
    for _ in range(rounds):
        await _empty(bench.database)
        limits = {kind: await _by_psql(bench, plain, csv) for kind in taken}
        await _empty(bench.database)
        for kind, found in taken.items():
            found.append((limits[kind], await _by_service(bench, pieces, is_new=kind == "new")))
    parts = await _parts(bench)
    await bench.database.close()
    count = bench.rows.num_rows
    return [
        _result("import_customers", count, taken["new"], "≥ 0.35 of psql COPY and upsert, nothing sealed"),
        _result("import_customers.unchanged", count, taken["same"], "limit: the same; nothing is written"),
        *(Result(f"import_customers.{name}", count / seconds, "rows/s") for name, seconds in parts.items()),
    ]


def _result(name: str, rows: int, pairs: Sequence[tuple[float, float]], goal: str) -> Result:
    limit, value = (median(rows / pair[side] for pair in pairs) for side in (0, 1))
    ratio = median(bare / served for bare, served in pairs)
    return Result(name, value, "rows/s", limit, ratio, goal)


def _plain_table(table: BulkTable) -> Table:
    return Table("plain", MetaData(), *(Column(name) for name in (*table.schema.names, "rev")))


async def _empty(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE plain, customers, customer_contacts"))


async def _by_psql(bench: Bench, upsert: Upsert, csv: Path) -> float:
    columns = ", ".join(bench.table.schema.names)
    async with bench.database.begin() as tx:
        await tx.execute(text(f"CREATE UNLOGGED TABLE bare AS SELECT {columns} FROM plain WITH NO DATA"))
    begin = time.perf_counter()
    bench.server.sql(rf"\copy bare FROM '{csv}' WITH (FORMAT csv)", database=DATABASE)
    async with bench.database.begin() as tx:
        await tx.execute(text("ANALYZE bare"))
        await upsert(tx, "bare", "", _LAST)
    taken = time.perf_counter() - begin
    async with bench.database.begin() as tx:
        await tx.execute(text("DROP TABLE bare"))
    return taken


async def _by_service(bench: Bench, pieces: Sequence[bytes], *, is_new: bool) -> float:
    signed_in = SignedIn(bench.home.root / "keys")
    servicer = CustomerImportServicer(BulkImport(bench.database, bulk_tables(bench.keys)), Wakeups(None))
    add = import_service_pb2_grpc.add_ImportServiceServicer_to_server
    app = app_of([Served("banyan.customer.v1.ImportService", add, servicer)], ALLOWED, signed_in)
    async with in_process(app, bench.home.root / "import", keys=signed_in.keys) as channel:
        stub = import_service_pb2_grpc.ImportServiceStub(channel)
        begin = time.perf_counter()
        answer = await stub.ImportRows(_requests(pieces), metadata=signed_in.service(), timeout=_IMPORT_SECONDS)
        taken = time.perf_counter() - begin
    written = answer.inserted_count + answer.updated_count
    assert written == (bench.rows.num_rows if is_new else 0), f"{written} rows were written"
    return taken


async def _parts(bench: Bench) -> dict[str, float]:
    """The seconds that each part of the work on all rows takes by itself, on one core."""
    writing, staged = bench.keys.writing(), bench.table.staged
    assert staged is not None
    ids = bench.rows.column("customer_id").to_pylist()
    texts = {kind: bench.rows.column(kind).to_pylist() for kind in ContactKind}
    numbers = pa.arange(0, bench.rows.num_rows)
    [numbered] = bench.rows.add_column(0, ROW_COLUMN, numbers).combine_chunks().to_batches()
    sealed = staged.transform(numbered)
    taken = {
        "encrypt": _timed(
            lambda: [bench.keys.encrypt_all(kind, ids, texts[kind], writing.cipher_key_id) for kind in texts]
        ),
        "hash": _timed(lambda: [bench.keys.hash_all(kind, texts[kind], writing.hash_key_id) for kind in texts]),
        "seal": _timed(lambda: staged.transform(numbered)),
        "csv": _timed(lambda: to_csv(sealed)),
    }
    await _empty(bench.database)
    async with bench.database.begin() as tx:
        columns = ", ".join(f"{field.name} {_sql_type(field)}" for field in sealed.schema)
        await tx.execute(text(f"CREATE TEMPORARY TABLE staging_alone ({columns})"))
        csv = to_csv(sealed)
        taken["copy"] = await _awaited(lambda: copy_csv(tx, "staging_alone", sealed.schema.names, csv))
        await tx.execute(text("CREATE UNIQUE INDEX ON staging_alone (customer_id)"))
        await tx.execute(text("ANALYZE staging_alone"))
        taken["upsert"] = await _awaited(lambda: _upsert(bench.table, tx))
    return taken


async def _upsert(table: BulkTable, tx: AsyncConnection) -> None:
    await table.upsert(tx, "staging_alone", "", _LAST)


def _sql_type(field: pa.Field) -> str:
    names = {pa.binary(): "bytea", pa.int64(): "bigint", pa.date32(): "date"}
    return names.get(field.type, 'text COLLATE "C"')


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


async def _awaited(work: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await work()
    return time.perf_counter() - begin


async def _requests(pieces: Sequence[bytes]) -> AsyncIterator[pb.ImportRowsRequest]:
    day = date_pb2.Date(year=_DAY.year, month=_DAY.month, day=_DAY.day)
    yield pb.ImportRowsRequest(header=pb.ImportHeader(table="customers", business_date=day))
    for piece in pieces:
        yield pb.ImportRowsRequest(arrow=piece)


def _pieces(rows: pa.Table) -> list[bytes]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=50_000)
    whole = sink.getvalue().to_pybytes()
    return [whole[start : start + _PIECE_BYTES] for start in range(0, len(whole), _PIECE_BYTES)]
