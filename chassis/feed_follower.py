"""Follows a feed: keeps a whole copy of what another service publishes (design 4.6)."""

import asyncio
import contextlib
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import grpc
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.errors import Refused
from chassis.feed_cursor import Cursor
from chassis.sql.engine import Database
from chassis.telemetry import FEED_LAG
from chassis.wakeups import Wakeups

C = TypeVar("C")
# What restarts and broken networks raise; the trace of anything else is worth reading.
_EXPECTED = (DBAPIError, grpc.RpcError, Refused, OSError, TimeoutError)
log = structlog.get_logger(__name__)

NOT_READY_LAG_SECONDS = 600.0
# Three heartbeats: the source, or the way to it, is gone without a word.
SILENCE_SECONDS_MAX = 45.0
OBSERVE_SECONDS = 5.0
_PAUSE_SECONDS_MAX = 5.0
_PAUSE_DOUBLINGS_MAX = 6

_ADD_CURSOR = text(
    "INSERT INTO feed_cursor (name, token, generation, settled) VALUES (:name, '', 0, false) ON CONFLICT DO NOTHING"
)
_READ_CURSOR = text("SELECT token, generation, settled FROM feed_cursor WHERE name = :name")
_MOVE_CURSOR = text(
    "UPDATE feed_cursor SET token = :token, generation = :generation, settled = :settled,"
    " caught_up_time = CASE WHEN :caught_up THEN clock_timestamp() ELSE caught_up_time END"
    " WHERE name = :name AND token = :old_token AND generation = :old_generation"
)
_READ_LAG = text(
    "SELECT extract(epoch FROM clock_timestamp() - caught_up_time)::float8 FROM feed_cursor"
    " WHERE name = :name AND caught_up_time IS NOT NULL"
)


class NotLeading(Exception):
    """Somebody else moved the cursor: he leads, and what we were about to store is rolled back."""


@dataclass(frozen=True)
class _State:
    token: str
    generation: int
    settled: bool


@dataclass(eq=False)
class Follower(Generic[C]):
    """Follows the feed `name` into this service's database, in one instance at a time.

    `open` starts the watch RPC at a token and yields its messages. `store` puts changes into the copy, each row marked
    with the generation. `drop` removes the rows of older generations: the source began a new epoch, was read again from
    the start, and lacks them. Both run in the transaction that moves the cursor; `<name>.followed` is woken after it.
    """

    database: Database
    name: str
    open: Callable[[str], AsyncIterator[Any]]
    store: Callable[[AsyncConnection, Sequence[C], int], Awaitable[None]]
    drop: Callable[[AsyncConnection, int], Awaitable[None]]
    wakeups: Wakeups
    _fresh_at: float = field(init=False, default_factory=clock.monotonic_seconds)
    _known_at: float = field(init=False, default_factory=clock.monotonic_seconds)

    def __post_init__(self) -> None:
        FEED_LAG.labels(self.name).set_function(lambda: self.lag_seconds)

    @property
    def lag_seconds(self) -> float:
        """How long ago the copy was complete, as far as this instance knows; heartbeats come every 15 s.

        An instance that neither follows nor runs `observe` does not know, and says 0.
        """
        now = clock.monotonic_seconds()
        return now - self._fresh_at if now - self._known_at < SILENCE_SECONDS_MAX else 0.0

    def not_ready(self) -> str | None:
        """Why this instance must not serve: its copy is older than ten minutes."""
        lag = self.lag_seconds
        return f"feed {self.name} is {lag:.0f} s behind" if lag > NOT_READY_LAG_SECONDS else None

    async def observe(self) -> None:
        """A job for every instance: learns how old the copy is, whoever follows."""
        while True:
            await self._observe_once()
            await asyncio.sleep(OBSERVE_SECONDS)

    async def run(self) -> None:
        """A job for the leader: follows for ever, from where the copy stands; opens the watch again when it ends."""
        failures = 0
        while True:
            begun_at = clock.monotonic_seconds()
            try:
                await self._follow()
            except NotLeading:
                log.info("feed_cursor_moved", feed=self.name)
            except Exception as error:
                is_ours = not isinstance(error, _EXPECTED)
                log.warning("feed_interrupted", feed=self.name, error=repr(error), exc_info=is_ours and failures == 0)
            failures = 0 if clock.monotonic_seconds() - begun_at > _PAUSE_SECONDS_MAX else failures + 1
            # Nobody is told apart by a clock: many followers of one source come back at different moments.
            chance = 0.5 + secrets.randbelow(1000) / 1000
            pause = min(0.05 * 2 ** min(failures, _PAUSE_DOUBLINGS_MAX + 1), _PAUSE_SECONDS_MAX)
            await asyncio.sleep(pause * chance)

    async def _observe_once(self) -> None:
        async with self.database.read() as tx:
            lag = (await tx.execute(_READ_LAG, {"name": self.name})).scalar_one_or_none()
        now = clock.monotonic_seconds()
        self._known_at = now
        if lag is not None:
            self._fresh_at = now - lag

    async def _follow(self) -> None:
        """Stores what one stream brings, until it ends."""
        state = await self._load()
        stream = self.open(state.token)
        messages = aiter(stream)
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS_MAX):
                    message = await anext(messages, None)
                if message is None or message.HasField("end"):
                    return
                state = await self._take(state, message)
        finally:
            await _end(stream, messages)

    async def _load(self) -> _State:
        async with self.database.begin() as tx:
            await tx.execute(_ADD_CURSOR, {"name": self.name})
            return _State(*(await tx.execute(_READ_CURSOR, {"name": self.name})).one())

    async def _take(self, old: _State, message: Any) -> _State:  # noqa: ANN401 - any watch RPC's message
        is_same_epoch = bool(old.token) and Cursor.parse(old.token).is_of(Cursor.parse(message.resume_token))
        generation = old.generation if is_same_epoch else old.generation + 1
        was_settled = is_same_epoch and old.settled
        new = _State(message.resume_token, generation, was_settled or message.caught_up)

        async def store(tx: AsyncConnection) -> None:
            await self._move(tx, old, new, caught_up=message.caught_up)
            if message.changes:
                await self.store(tx, message.changes, generation)
            if new.settled and not was_settled:
                await self.drop(tx, generation)

        await self.database.repeat(store)
        self._known_at = clock.monotonic_seconds()
        if message.caught_up:
            self._fresh_at = self._known_at
        if message.changes or new.settled != old.settled:
            await self.wakeups.notify(f"{self.name}.followed")
        return new

    async def _move(self, tx: AsyncConnection, old: _State, new: _State, *, caught_up: bool) -> None:
        """Moves the cursor from where we read it, and locks it until `tx` ends."""
        values = {
            "name": self.name,
            "token": new.token,
            "generation": new.generation,
            "settled": new.settled,
            "caught_up": caught_up,
            "old_token": old.token,
            "old_generation": old.generation,
        }
        if (await tx.execute(_MOVE_CURSOR, values)).rowcount != 1:
            raise NotLeading(self.name)


async def _end(stream: AsyncIterator[Any], messages: AsyncIterator[Any]) -> None:
    """Ends a generator that stands in the middle, and the gRPC call that it reads."""
    for ending in (getattr(stream, "cancel", None), getattr(messages, "aclose", None)):
        if ending is not None:
            with contextlib.suppress(Exception):
                result = ending()
                if inspect.isawaitable(result):
                    await result
