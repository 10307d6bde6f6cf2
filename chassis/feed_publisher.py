"""Publishes a feed: the current state of aggregates in the order of their last change (design 4.6)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.feed_cursor import Cursor, Page
from chassis.feed_epoch import Look, look
from chassis.sql.engine import Database
from chassis.telemetry import FEED_STALL
from chassis.wakeups import Wakeups

T = TypeVar("T")

PAGE_ITEMS = 2_000
HEARTBEAT_SECONDS = 15.0
POLL_BUSY_SECONDS = 0.2
POLL_IDLE_SECONDS = 2.0
# Wake-ups that come closer than this are one.
_GATHER_SECONDS = 0.01

# Items after (rev, key), at most `limit`: `WHERE (rev, key) > (:rev, :key) AND
# rev < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY rev, key LIMIT :limit`, each with its own rev and key.
ReadPage = Callable[[AsyncConnection, int, str, int], Awaitable[Sequence[tuple[int, str, T]]]]


@dataclass(frozen=True)
class _Reading(Generic[T]):
    look: Look
    items: Sequence[tuple[int, str, T]]

    @property
    def is_full(self) -> bool:
        return len(self.items) >= PAGE_ITEMS


class _Place(Generic[T]):
    """Where one watcher is, and what he was told last."""

    def __init__(self, cursor: Cursor, begun: Look) -> None:
        self.cursor = cursor
        self._begun = begun
        self._settled = False
        self._told: bool | None = None
        self._told_at = 0.0

    def is_in_epoch_of(self, look: Look) -> bool:
        return (self.cursor.node, self.cursor.epoch) == (look.node, look.epoch)

    def page(self, reading: _Reading[T]) -> Page[T] | None:
        """Moves on by what was read; None if there is nothing to tell yet."""
        cursors = [replace(self.cursor, rev=rev, key=key) for rev, key, _ in reading.items]
        if cursors:
            self.cursor = cursors[-1]
        # A row that a transaction changed before the watch began may become readable only after that transaction.
        self._settled = self._settled or reading.look.oldest >= self._begun.unborn
        caught_up = self._settled and not reading.is_full
        now = clock.monotonic_seconds()
        if not reading.items and caught_up == self._told and now - self._told_at < HEARTBEAT_SECONDS:
            return None
        self._told, self._told_at = caught_up, now
        items = [item for _, _, item in reading.items]
        return Page(items, cursors, self.cursor.token(), caught_up, reading.look.time)


class Publisher(Generic[T]):
    """Serves any number of watchers from any instance; those who wait at the same place share one poll."""

    def __init__(self, database: Database, name: str, read_page: ReadPage[T], wakeups: Wakeups) -> None:
        self.name = name
        self._database = database
        self._read_page = read_page
        self._wakeups = wakeups
        self._readings: dict[tuple[int, str], asyncio.Task[_Reading[T]]] = {}
        self._watchers = 0
        self._beating: asyncio.Task[None] | None = None
        self._beat = asyncio.Event()
        # While a transaction below `_awaited` runs, something that we were told of may still be unreadable.
        self._awaited = 0
        self._must_await_all = True
        self._oldest = 0
        self._oldest_since = clock.monotonic_seconds()

    async def now(self) -> str:
        """The token to watch from for what is still to come."""
        async with self._database.read() as tx:
            seen = await look(self._database, tx)
        return Cursor(seen.node, seen.epoch, seen.oldest, "").token()

    async def watch(self, resume_token: str) -> AsyncGenerator[Page[T]]:
        """Pages from the token on, for ever; from the beginning if the token is empty or of another epoch.

        The first page comes at once, maybe without items; then whenever something changed, and every 15 s.
        """
        asked = Cursor.parse(resume_token) if resume_token else None
        async with self._database.read() as tx:
            begun = await look(self._database, tx)
        place = _Place[T](asked or _beginning(begun), begun)
        with self._watching():
            while True:
                beat = self._beat
                if not place.is_in_epoch_of(begun):
                    place = _Place[T](_beginning(begun), begun)
                reading = await self._shared(place.cursor)
                if not place.is_in_epoch_of(reading.look):
                    begun = reading.look
                    continue
                page = place.page(reading)
                if page is not None:
                    yield page
                if not reading.is_full:
                    await beat.wait()

    async def _shared(self, cursor: Cursor) -> _Reading[T]:
        """Reads on from a cursor, once for all who ask at the same time."""
        at = (cursor.rev, cursor.key)
        reading = self._readings.get(at)
        if reading is None:
            reading = self._readings[at] = asyncio.create_task(self._read(*at))
            reading.add_done_callback(lambda done: self._forget(at, done))
        return await asyncio.shield(reading)

    def _forget(self, at: tuple[int, str], done: "asyncio.Task[_Reading[T]]") -> None:
        del self._readings[at]
        if not done.cancelled():
            done.exception()  # whoever asked may be gone

    async def _read(self, rev: int, key: str) -> _Reading[T]:
        must_await_all, self._must_await_all = self._must_await_all, False
        async with self._database.read() as tx:
            seen = await look(self._database, tx)
            items = await self._read_page(tx, rev, key, PAGE_ITEMS)
        if must_await_all:
            self._awaited = seen.unborn
        self._tell_stall(seen)
        return _Reading(seen, items)

    def _tell_stall(self, seen: Look) -> None:
        now = clock.monotonic_seconds()
        if seen.oldest != self._oldest or seen.oldest == seen.unborn:
            self._oldest, self._oldest_since = seen.oldest, now
        FEED_STALL.labels(self.name).set(now - self._oldest_since)

    @contextmanager
    def _watching(self) -> Generator[None]:
        """Keeps the beat going while anybody watches."""
        self._watchers += 1
        if self._beating is None:
            self._beating = asyncio.create_task(self._keep_beat())
        try:
            yield
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                self._beating.cancel()
                self._beating = None

    async def _keep_beat(self) -> None:
        """Lets watchers look: after a wake-up, often while something may be unread, else now and then."""
        with self._wakeups.listening(self.name) as listener:
            while True:
                is_busy = self._must_await_all or self._oldest < self._awaited
                woken = await listener.wait(POLL_BUSY_SECONDS if is_busy else POLL_IDLE_SECONDS)
                self._must_await_all = self._must_await_all or woken or not is_busy
                beat, self._beat = self._beat, asyncio.Event()
                beat.set()
                await asyncio.sleep(_GATHER_SECONDS)


def _beginning(begun: Look) -> Cursor:
    return Cursor(begun.node, begun.epoch, 0, "")
