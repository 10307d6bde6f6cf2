"""Rows per second of ImportRows into customer_svc, against psql's COPY into staging and the same upsert.

Both start from bytes that are ready: the service from an Arrow stream in pieces over gRPC, psql from a CSV file. The
service checks every row besides, and commits 20,000 rows at a time, where the limit commits all at once.
"""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from statistics import median

import pyarrow as pa
import uvloop
from banyan.customer.v1 import import_service_pb2 as pb
from banyan.customer.v1 import import_service_pb2_grpc
from google.type import date_pb2
from sqlalchemy import text

from bench import servers
from bench.results import Result
from chassis.server import Served
from chassis.sql.bulk import BulkImport, BulkTable
from chassis.sql.copy import to_csv
from chassis.sql.engine import Database
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


def measure(rounds: int = ROUNDS, customers: int = CUSTOMERS) -> list[Result]:
    """Into an empty table, and the same rows again, none of which is then written."""
    with servers.home() as home, servers.postgres_of(home) as server:
        url = servers.database(server, DATABASE, MIGRATIONS)
        rows = make_people(customers, 1, _DAY).customers.combine_chunks()
        return uvloop.run(_measure(home, server, url, rows, rounds))


async def _measure(home: Home, server: Postgres, url: str, rows: pa.Table, rounds: int) -> list[Result]:
    csv = home.root / "customers.csv"
    csv.write_bytes(b"".join(to_csv(batch) for batch in rows.to_batches()))
    (table,) = (table for table in bulk_tables() if table.name == "customers")
    pieces = _pieces(rows)
    database = Database(url)
    taken: dict[str, list[tuple[float, float]]] = {"new": [], "same": []}
    for _ in range(rounds):
        limits: dict[str, float] = {}
        await _empty(database)
        for kind in taken:
            limits[kind] = await _by_psql(server, database, table, csv)
        await _empty(database)
        for kind, found in taken.items():
            found.append((limits[kind], await _by_service(home, database, pieces)))
    await database.close()
    return [
        _result("import_customers", rows.num_rows, taken["new"], "≥ 0.5 of psql COPY and the same upsert"),
        _result("import_customers.unchanged", rows.num_rows, taken["same"], "limit: the same, nothing to write"),
    ]


def _result(name: str, rows: int, pairs: Sequence[tuple[float, float]], goal: str) -> Result:
    limit, value = (median(rows / pair[side] for pair in pairs) for side in (0, 1))
    ratio = median(bare / served for bare, served in pairs)
    return Result(name, value, "rows/s", limit, ratio, goal)


async def _empty(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE customers"))


async def _by_psql(server: Postgres, database: Database, table: BulkTable, csv: Path) -> float:
    columns = ", ".join(table.schema.names)
    async with database.begin() as tx:
        await tx.execute(text(f"CREATE UNLOGGED TABLE bare AS SELECT {columns} FROM customers WITH NO DATA"))
    begin = time.perf_counter()
    server.sql(rf"\copy bare FROM '{csv}' WITH (FORMAT csv)", database=DATABASE)
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE bare"))
        await table.upsert(tx, "bare", "", "\U0010ffff")
    taken = time.perf_counter() - begin
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE bare"))
    return taken


async def _by_service(home: Home, database: Database, pieces: Sequence[bytes]) -> float:
    signed_in = SignedIn(home.root / "keys")
    servicer = CustomerImportServicer(BulkImport(database, bulk_tables()), Wakeups(None))
    add = import_service_pb2_grpc.add_ImportServiceServicer_to_server
    app = app_of([Served("banyan.customer.v1.ImportService", add, servicer)], ALLOWED, signed_in)
    async with in_process(app, home.root / "import", keys=signed_in.keys) as channel:
        stub = import_service_pb2_grpc.ImportServiceStub(channel)
        begin = time.perf_counter()
        await stub.ImportRows(_requests(pieces), metadata=signed_in.service(), timeout=_IMPORT_SECONDS)
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
