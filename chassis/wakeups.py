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
        # Wake-ups of one name that come faster than Valkey takes them are one.
        self._outbox: set[str] = set()
        self._has_mail = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._sending: asyncio.Task[None] | None = None
        self._receiving: asyncio.Task[None] | None = None

    async def notify(self, name: str) -> None:
        """Wakes everybody who listens to the name, on any instance, without waiting; to be called after the commit."""
        self._wake(name)
        if self._valkey_url:
            self._outbox.add(name)
            self._has_mail.set()
            self._all_told.clear()
            if self._sending is None:
                self._sending = asyncio.create_task(self._send(self._valkey_url))

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
        """Tells what is still to be told, if that is quick, and stops listening to Valkey."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_VALKEY_SECONDS):
                await self._all_told.wait()
        tasks = [task for task in (self._sending, self._receiving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake(self, name: str) -> None:
        for listener in self._listeners.get(name, ()):
            listener.wake()

    async def _send(self, valkey_url: str) -> None:
        """Publishes in a task of its own: a caller's cancellation in the middle would spoil the connection."""
        async with Redis.from_url(
            valkey_url, retry=_NO_RETRY, socket_timeout=_VALKEY_SECONDS, socket_connect_timeout=_VALKEY_SECONDS
        ) as client:
            while True:
                await self._has_mail.wait()
                names, self._outbox = self._outbox, set()
                try:
                    for name in names:
                        await client.publish(_CHANNEL + name, "")
                except (RedisError, OSError) as error:
                    log.warning("wakeups_lost", names=sorted(names), error=repr(error))
                    await asyncio.sleep(_PAUSE_SECONDS)
                if not self._outbox:
                    self._has_mail.clear()
                    self._all_told.set()

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
