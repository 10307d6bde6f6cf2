"""Wake-ups: "something changed, look now", within a process and through Valkey between processes.

They may be lost and nothing else is lost with them: whoever waits looks again by itself after a while. NOTIFY inside a
writer's transaction is no way: it loses wake-ups and cuts commits to a third.
"""

import asyncio
import contextlib
from collections.abc import Generator
from contextlib import contextmanager

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chassis import clock

log = structlog.get_logger(__name__)

_CHANNEL = "banyan:wake:"
_NO_RETRY = Retry(NoBackoff(), 0)
_VALKEY_SECONDS = 0.25
# After a failure Valkey is left alone for this long, so that its absence costs callers nothing.
_PAUSE_SECONDS = 1.0


class Listener:
    """Hears the wake-ups of one name, those between two waits too."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - to end a wait is no error here
        """Waits for a wake-up; False if none came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
        woken = self._event.is_set()
        self._event.clear()
        return woken


class Wakeups:
    """Tells and hears wake-ups by name; without Valkey only within this process. No method raises for Valkey's sake."""

    def __init__(self, valkey_url: str | None) -> None:
        self._valkey_url = valkey_url
        self._listeners: dict[str, set[Listener]] = {}
        self._sender: Redis | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._paused_until = 0.0

    async def notify(self, name: str) -> None:
        """Wakes everybody who listens to the name, on any instance; to be called after the commit."""
        self._wake(name)
        if not self._valkey_url or clock.monotonic_seconds() < self._paused_until:
            return
        try:
            async with asyncio.timeout(_VALKEY_SECONDS):
                await self._client().publish(_CHANNEL + name, "")
        except (RedisError, OSError, TimeoutError) as error:
            self._paused_until = clock.monotonic_seconds() + _PAUSE_SECONDS
            log.warning("wakeup_lost", name=name, error=repr(error))

    @contextmanager
    def listening(self, name: str) -> Generator[Listener]:
        """A listener for the length of the block."""
        if self._valkey_url and self._receiving is None:
            self._receiving = asyncio.create_task(self._receive(self._valkey_url))
        listener = Listener()
        self._listeners.setdefault(name, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[name].discard(listener)

    async def wait(self, name: str, timeout: float) -> bool:  # noqa: ASYNC109 - to end a wait is no error here
        """Waits once for a wake-up; False if none came in time."""
        with self.listening(name) as listener:
            return await listener.wait(timeout)

    async def close(self) -> None:
        """Stops listening to Valkey."""
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait([self._receiving])
        if self._sender is not None:
            await self._sender.aclose()

    def _wake(self, name: str) -> None:
        for listener in self._listeners.get(name, ()):
            listener.wake()

    def _client(self) -> Redis:
        if self._sender is None:
            assert self._valkey_url
            self._sender = Redis.from_url(self._valkey_url, retry=_NO_RETRY)
        return self._sender

    async def _receive(self, valkey_url: str) -> None:
        while True:
            try:
                await self._receive_until_broken(valkey_url)
            except (RedisError, OSError) as error:
                log.warning("wakeups_interrupted", error=repr(error))
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _receive_until_broken(self, valkey_url: str) -> None:
        # Silence is no error here.
        async with (
            Redis.from_url(valkey_url, socket_timeout=None, retry=_NO_RETRY) as client,
            client.pubsub() as heard,
        ):
            await heard.psubscribe(_CHANNEL + "*")
            # Whatever was told while nobody listened here.
            for name in self._listeners:
                self._wake(name)
            async for message in heard.listen():
                if message["type"] == "pmessage":
                    self._wake(message["channel"].decode().removeprefix(_CHANNEL))
