"""A migrated database of customer_svc on the real PostgreSQL, and ways to fill it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import text

from chassis import clock
from chassis.data_keys import DataKeys, make_missing_data_keys
from chassis.sql.bulk import BulkCounts, BulkImport
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.sql.testing import empty
from devstack.postgres import Postgres
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.org import Branch
from services.customer_svc.store import MIGRATIONS, imports, org, ownership
from services.customer_svc.store.tables import METADATA

Row = Mapping[str, Any]
DEPOSITS = ("deposit_balance_minor", "deposit_average_minor")
SCHEMAS = {table.name: table.schema for table in imports.bulk_tables(DataKeys(Path()))}
AUDIT = {"audit", "audit_seal"}
KEPT = {"erasure_policies", "feed_epoch", "export_policies", "privacy_policies", "tags", "tag_policies", "key_policies"}
# What a row needs beside its key; tests tell only what they are about.
DEFAULTS: dict[str, dict[str, Any]] = {
    "customers": {"customer_type": "INDIVIDUAL", "state": "ACTIVE"},
    "accounts": {"kind": "DEMAND", "open_date": date(2020, 1, 1)},
    "loans": {
        "principal_minor": 1000,
        "outstanding_estimated": False,
        "disburse_date": date(2020, 1, 1),
        "state": "LIVE",
        "in_arrears": False,
        "revolving": False,
    },
    "cards": {"open_date": date(2020, 1, 1)},
}


class Bank:
    """Fills a database as the feeds would."""

    def __init__(self, database: Database, keys: DataKeys) -> None:
        self.database = database
        self.keys = keys
        self._bulk = BulkImport(database, imports.bulk_tables(keys))

    async def load(
        self,
        table: str,
        rows: Iterable[Row],
        day: date = date(2026, 6, 30),
        gate: asyncio.Event | None = None,
        *,
        allow_removals: bool = False,
    ) -> BulkCounts:
        """Imports rows; with a `gate` the sender hangs until it opens."""
        whole = [DEFAULTS.get(table, {}) | dict(row) for row in rows]
        arrow = _arrow(SCHEMAS[table], whole, gate)
        return await self._bulk.run(table, day, arrow, allow_removals=allow_removals)

    async def load_figures(self, rows: Sequence[Row], day: date = date(2026, 6, 30)) -> None:
        """Imports deposits by branch, and over the bank their sums; what is unknown at one branch is unknown there."""
        await self.load("customer_branch_figures", rows, day)
        sums: dict[str, dict[str, int | None]] = {}
        for row in rows:
            total = sums.setdefault(row["customer_id"], dict.fromkeys(DEPOSITS, 0))
            for name, known in total.items():
                value = row.get(name)
                total[name] = None if known is None or value is None else known + value
        totals = [{"customer_id": customer_id, **total} for customer_id, total in sums.items()]
        await self.load("customer_figures", totals, day)

    async def own(self, owners_of: Mapping[str, Sequence[Owner]], generation: int = 1) -> None:
        async with self.database.begin() as tx:
            await ownership.replace_owners(tx, owners_of, generation)

    async def grow(self, parents: Mapping[str, str | None], generation: int = 1) -> None:
        items = [Branch(branch_id, parent_id, branch_id) for branch_id, parent_id in parents.items()]
        async with self.database.begin() as tx:
            await org.put_org(tx, items, generation)

    async def empty(self) -> None:
        async with self.database.begin() as tx:
            for name in METADATA.tables.keys() - KEPT - AUDIT:
                await tx.execute(text(f"DELETE FROM {name}"))
            await empty(tx, AUDIT)


async def _arrow(schema: pa.Schema, rows: Sequence[Row], gate: asyncio.Event | None) -> AsyncIterator[bytes]:
    if gate is not None:
        await gate.wait()
    sink = pa.BufferOutputStream()
    loose = pa.schema([field.with_nullable(nullable=True) for field in schema])
    with pa.ipc.new_stream(sink, loose) as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), loose))
    yield sink.getvalue().to_pybytes()


@pytest.fixture(scope="session")
async def customer_database_url(postgres: Postgres) -> str:
    url = postgres.create("customer_tests")
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    return url


@pytest.fixture(scope="session")
async def customer_database(customer_database_url: str) -> AsyncIterator[Database]:
    database = Database(customer_database_url)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def data_keys(tmp_path_factory: pytest.TempPathFactory) -> DataKeys:
    folder = tmp_path_factory.mktemp("data-keys")
    make_missing_data_keys(folder, clock.now())
    return DataKeys(folder)


@pytest.fixture
async def bank(customer_database: Database, data_keys: DataKeys) -> Bank:
    """An empty bank."""
    bank = Bank(customer_database, data_keys)
    await bank.empty()
    return bank


@pytest.fixture(scope="session")
def bank_of() -> Callable[[Database, DataKeys], Bank]:
    return Bank
