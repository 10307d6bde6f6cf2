"""A server with the bank of `bench.search_bank`, and its searches' statements run bare."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import search_bank, servers
from chassis import clock
from chassis.data_keys import DataKeys, make_missing_data_keys
from chassis.sql.engine import Database
from services.customer_svc.domain.query import Asked, Query
from services.customer_svc.domain.reach import reach_of
from services.customer_svc.domain.viewing import Viewer, scope_of
from services.customer_svc.store import MIGRATIONS, asking, org, search

T = TypeVar("T")
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
        try:
            yield database
        finally:
            await database.close()

    async def regions(self, database: Database) -> list[frozenset[str]]:
        """The branches of each region."""
        async with database.read() as conn:
            return [await org.subtree(conn, f"B{number:04}") for number in range(1, search_bank.REGIONS + 1)]

    async def bare(self, database: Database, viewer: Viewer, query: Query, *, counting: bool = False) -> float:
        """Seconds that the last statement of a page, or of a count, takes through asyncpg alone."""
        async with database.begin() as tx:
            asked = await ask(tx, viewer, query)
            await search.plan_for_these_values(tx)
            sent = await statements(tx, asked, counting=counting)
            return await again(tx, sent[-1:])


async def ask(conn: AsyncConnection, viewer: Viewer, query: Query) -> Asked:
    """A query as a viewer asks it, without looking whether he may."""
    scope = scope_of(viewer, await org.subtree(conn, viewer.branch_id))
    day, now = await asking.read_moment(conn)
    return Asked(query, reach_of(query, everyone=scope.everyone), scope, day, now)


async def statements(conn: AsyncConnection, asked: Asked, *, counting: bool = False) -> list[Statement]:
    """The statements that a page, or a count, consists of."""
    with kept_statements(conn) as sent:
        if counting:
            await search.count(conn, asked)
        else:
            await search.find(conn, asked, None, PAGE)
    return [statement for statement in sent if not statement.sql.startswith("SELECT set_config")]


@contextmanager
def kept_statements(conn: AsyncConnection) -> Generator[list[Statement]]:
    """What goes over the wire within the block."""
    sent: list[Statement] = []

    def keep(
        _conn: object, _cursor: object, sql: str, values: tuple[Any, ...], _context: object, _many: object
    ) -> None:
        sent.append(Statement(sql, values))

    assert conn.sync_connection is not None, "the connection is open"
    event.listen(conn.sync_connection, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        event.remove(conn.sync_connection, "before_cursor_execute", keep)


async def again(tx: AsyncConnection, sent: Sequence[Statement]) -> float:
    """Seconds that statements take through asyncpg alone."""
    # With the first statement the transaction begins.
    await tx.execute(text("SELECT 1"))
    driver: Any = (await tx.get_raw_connection()).driver_connection
    begin = time.perf_counter()
    for statement in sent:
        await driver.fetch(statement.sql, *statement.values)
    return time.perf_counter() - begin


async def compared(database: Database, work: Callable[[AsyncConnection], Awaitable[T]]) -> tuple[T, float, float]:
    """What a use case says, seconds that it takes, and that its statements take through asyncpg alone, in its order."""
    async with database.begin() as tx:
        with kept_statements(tx) as sent:
            begin = time.perf_counter()
            told = await work(tx)
            seconds = time.perf_counter() - begin
    async with database.begin() as tx:
        return told, seconds, await again(tx, sent)


_KEPT = list[tuple[ExitStack, dict[int, Searching]]]()


@contextmanager
def keeping() -> Generator[None]:
    """Within the block, a bank that was built for one benchmark serves the others too."""
    with ExitStack() as stack:
        _KEPT.append((stack, {}))
        try:
            yield
        finally:
            _KEPT.pop()


@contextmanager
def searching(customers: int) -> Generator[Searching]:
    """PostgreSQL with the bank, for the length of the block."""
    if not _KEPT:
        with _built(customers) as run:
            yield run
        return
    stack, banks = _KEPT[-1]
    if customers not in banks:
        banks[customers] = stack.enter_context(_built(customers))
    yield banks[customers]


@contextmanager
def _built(customers: int) -> Generator[Searching]:
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
