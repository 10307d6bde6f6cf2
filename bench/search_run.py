"""A server with the bank of `bench.search_bank`, and its searches' statements run bare."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import search_bank, servers
from chassis import clock
from chassis.data_keys import DataKeys, make_missing_data_keys
from chassis.sql.engine import Database
from services.customer_svc.domain.query import Asked, Query
from services.customer_svc.domain.reach import reach_of
from services.customer_svc.domain.viewing import Viewer, scope_of
from services.customer_svc.store import MIGRATIONS, asking, org, search

PAGE = 51


@dataclass(frozen=True)
class Statement:
    """What went over the wire to PostgreSQL."""

    sql: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Searching:
    """A bank to be searched."""

    url: str
    keys: DataKeys

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Database]:
        database = Database(self.url)
        yield database
        await database.close()

    async def regions(self, database: Database) -> list[frozenset[str]]:
        """The branches of each region."""
        async with database.read() as conn:
            return [await org.subtree(conn, f"B{number:04}") for number in range(1, search_bank.REGIONS + 1)]

    async def bare(self, database: Database, viewer: Viewer, query: Query, *, counting: bool = False) -> float:
        """Seconds that the statement of a page, or of a count, takes through asyncpg alone."""
        async with database.begin() as tx:
            asked = await ask(tx, viewer, query)
            await search.plan_for_these_values(tx)
            statement = (await statements(tx, asked, counting=counting))[-1]
            driver: Any = (await tx.get_raw_connection()).driver_connection
            begin = time.perf_counter()
            await driver.fetch(statement.sql, *statement.values)
            return time.perf_counter() - begin


async def ask(conn: AsyncConnection, viewer: Viewer, query: Query) -> Asked:
    """A query as a viewer asks it, without looking whether he may."""
    scope = scope_of(viewer, await org.subtree(conn, viewer.branch_id))
    day, now = await asking.read_moment(conn)
    return Asked(query, reach_of(query, everyone=scope.everyone), scope, day, now)


async def statements(conn: AsyncConnection, asked: Asked, *, counting: bool = False) -> list[Statement]:
    """The statements that a page, or a count, consists of."""
    sent: list[Statement] = []

    def keep(
        _conn: object, _cursor: object, sql: str, values: tuple[Any, ...], _context: object, _many: object
    ) -> None:
        if not sql.startswith(("EXPLAIN", "SELECT set_config")):
            sent.append(Statement(sql, values))

    assert conn.sync_connection is not None, "the connection is open"
    event.listen(conn.sync_connection, "before_cursor_execute", keep)
    if counting:
        await search.count(conn, asked)
    else:
        await search.find(conn, asked, None, PAGE)
    event.remove(conn.sync_connection, "before_cursor_execute", keep)
    return sent


@contextmanager
def searching(customers: int) -> Generator[Searching]:
    """PostgreSQL with the bank, for the length of the block."""
    with servers.home() as home, servers.postgres_of(home) as server:
        url = servers.database(server, "bench_search", MIGRATIONS)
        keys = home.root / "data-keys"
        keys.mkdir()
        make_missing_data_keys(keys, clock.now())
        run = Searching(url, DataKeys(keys))
        uvloop.run(_build(run, customers))
        yield run


async def _build(run: Searching, customers: int) -> None:
    async with run.opened() as database:
        await search_bank.build(database, customers)
