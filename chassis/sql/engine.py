"""The door to a service's database: transactions that nobody inside can commit, reads without a transaction."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from chassis.errors import Kind, Refused

T = TypeVar("T")

# Deadlock and serialisation failure: PostgreSQL rolled back one of several who were all right.
_REPEATABLE = frozenset({"40P01", "40001"})
# The server stops, crashed or starts (57P0x), has no connection left (53300), or the one there was broke (08xxx).
_UNREACHABLE = ("57P0", "53300", "08")
# What the database's client raises: through SQLAlchemy, and by itself where it is used directly (COPY).
_DRIVER_ERRORS = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)
_ATTEMPTS_MAX = 3
_POOL_WAIT_SECONDS = 5.0
_CONNECT_SECONDS = 5.0


class Database:
    """A service's database: a pool of `pool` connections and at most `overflow` more for a burst.

    Refuses with UNAVAILABLE when no connection is to be had, and when one is lost at work, so that callers may try
    again: whether a commit that was under way took place is then unknown, which is why writes carry a request id.
    """

    def __init__(
        self, url: str, password: str | None = None, application: str = "", pool: int = 8, overflow: int = 4
    ) -> None:
        self._url = connection_url(url, password)
        self._arguments = {
            "timeout": _CONNECT_SECONDS,
            "server_settings": {"application_name": application or "banyan", "jit": "off", "timezone": "UTC"},
        }
        self._pooled = create_async_engine(
            self._url,
            pool_size=pool,
            max_overflow=overflow,
            pool_timeout=_POOL_WAIT_SECONDS,
            pool_use_lifo=True,
            connect_args=self._arguments,
        )
        event.listen(self._pooled.sync_engine, "checkout", _refuse_closed)
        self._reading = self._pooled.execution_options(isolation_level="AUTOCOMMIT")
        self._single = create_async_engine(self._url, poolclass=NullPool, connect_args=self._arguments)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back if the block raises."""
        async with _connected(self._pooled) as connection, begun(connection):
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A connection whose every statement stands alone, which nearly halves the cost of a single read."""
        async with _connected(self._reading) as connection:
            yield connection

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[AsyncConnection]:
        """A connection outside the pool, for long work, which opens one transaction after another with `begin()`.

        Its session's locks and temporary tables end with the block.
        """
        async with _connected(self._single) as connection:
            yield connection

    async def repeat(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs a whole use case in a transaction, up to three times if PostgreSQL breaks a deadlock with it."""
        return await repeat_transaction(self.begin, work)

    async def close(self) -> None:
        """Closes the pool; what still runs on it is rolled back."""
        await self._pooled.dispose()
        await self._single.dispose()


async def repeat_transaction(
    begin: Callable[[], AbstractAsyncContextManager[AsyncConnection]], work: Callable[[AsyncConnection], Awaitable[T]]
) -> T:
    """Runs `work` in a transaction that `begin` opens, up to three times if PostgreSQL breaks a deadlock with it."""
    for attempt in range(1, _ATTEMPTS_MAX):
        try:
            async with begin() as tx:
                return await work(tx)
        except (DBAPIError, asyncpg.PostgresError) as error:
            if sqlstate(error) not in _REPEATABLE:
                raise
        # By chance: two that met in a deadlock would meet again.
        await asyncio.sleep((5 + secrets.randbelow(20)) * 2**attempt / 1000)
    async with begin() as tx:
        return await work(tx)


@asynccontextmanager
async def begun(connection: AsyncConnection) -> AsyncGenerator[AsyncConnection]:
    """A transaction on a connection of one's own: committed at the end of the block, rolled back if the block raises.

    What the block raised is what the caller sees, a cancellation above all: a rollback that fails in its wake, as it
    does when a statement was cut off, must not hide it.
    """
    transaction = await connection.begin()
    try:
        yield connection
        await transaction.commit()
    except BaseException:
        try:
            await transaction.rollback()
        except Exception as error:  # noqa: BLE001 - the connection is broken: nothing can be worse
            await connection.invalidate(error)
        raise


def connection_url(url: str, password: str | None) -> URL:
    """The URL with the password that came from a file, if one did."""
    parsed = make_url(url)
    return parsed.set(password=password) if password else parsed


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error, whether SQLAlchemy wrapped it or the driver raised it (COPY); else empty."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def _is_lost(error: Exception) -> bool:
    """Says whether there is no connection, or no longer, so that the statement is not to blame."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return "connection is closed" in str(error)
    return sqlstate(error).startswith(_UNREACHABLE)


def _is_closed(connection: AsyncConnection) -> bool:
    """Says whether the way to the server is gone."""
    if connection.invalidated or connection.sync_connection is None:
        return True
    driver = connection.sync_connection.connection.driver_connection
    return not isinstance(driver, asyncpg.Connection) or driver.is_closed()


def _unreachable() -> Refused:
    return Refused(Kind.UNAVAILABLE, "DATABASE_UNREACHABLE", "the database cannot be reached")


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's own
    """Makes the pool replace a connection that the server has closed, at no cost for the others."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@contextmanager
def _cancellation_kept() -> Generator[Callable[[], None]]:
    """Raises a cancellation that came during the block, whatever else became of it; yields what raises it at once.

    SQLAlchemy logs and swallows one that hits while it closes a connection; a job would then run for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0

    def check() -> None:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError

    try:
        yield check
    except Exception:
        check()
        raise
    check()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    with _cancellation_kept() as check_cancelled:
        connection = engine.connect()
        try:
            await connection.start()
        except PoolTimeoutError as error:
            raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "all connections to the database are in use") from error
        except (OSError, TimeoutError, *_DRIVER_ERRORS) as error:
            if isinstance(error, _DRIVER_ERRORS) and not _is_lost(error):
                raise
            raise _unreachable() from error
        try:
            check_cancelled()
            yield connection
        except ConnectionError as error:
            # The block may talk to others too, whose connections break as ours does.
            if not _is_closed(connection):
                raise
            raise _unreachable() from error
        except _DRIVER_ERRORS as error:
            if not _is_lost(error):
                raise
            raise _unreachable() from error
        finally:
            await connection.close()
