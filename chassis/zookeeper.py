"""The one ZooKeeper client of a process, with the watchdog that replaces it when it can never come back by itself."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.protocol.states import KazooState
from kazoo.security import CREATOR_ALL_ACL

from chassis import clock

log = structlog.get_logger(__name__)

# kazoo waits up to an hour between attempts if it is not told otherwise.
_CONNECT_RETRY = {"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": 2.0}


class ZooKeeperFailed(Exception):
    """ZooKeeper did not do what was asked: it is unreachable, slow, or refuses. Trying again later is right."""


class ZooKeeper:
    """Owns the client; everything that stands in ZooKeeper is level-triggered and done again on each connection.

    A client that is not connected for twice the session timeout is stopped, closed and replaced by a new one: kazoo
    sends the last transaction it saw, and a ZooKeeper that lost its data refuses that for ever without saying LOST.
    All methods belong to the event loop that called `start`.
    """

    def __init__(self, hosts: str, auth: str = "", session_timeout_seconds: float = 15.0) -> None:
        self._hosts = hosts
        self._auth = auth
        self._session_timeout_seconds = session_timeout_seconds
        self._callbacks: list[Callable[[], None]] = []
        self._watchers: dict[Callable[[], None], Callable[[Any], None]] = {}
        self._client: Any = None
        self._connected_since: float | None = None
        self._disconnected_since = 0.0
        self._changed = asyncio.Event()
        self._watchdog: asyncio.Task[None] | None = None

    async def start(self, wait_seconds: float = 2.0) -> None:
        """Starts connecting and waits a little for the connection; without one it goes on trying."""
        assert self._watchdog is None, "started twice"
        self._loop = asyncio.get_running_loop()
        self._open()
        self._watchdog = asyncio.create_task(self._watch_over())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                while not self.connected:
                    self._changed.clear()
                    await self._changed.wait()

    async def stop(self) -> None:
        """Ends the session, and with it every ephemeral node of this process."""
        if self._watchdog is None:
            return
        self._watchdog.cancel()
        await asyncio.gather(self._watchdog, return_exceptions=True)
        self._watchdog = None
        client, self._client = self._client, None
        self._connected_since = None
        await asyncio.to_thread(_dispose, client)

    @property
    def connected(self) -> bool:
        return self._connected_since is not None

    @property
    def connected_since(self) -> float | None:
        """When the present connection began, in monotonic seconds; None without one."""
        return self._connected_since

    @property
    def session_id(self) -> int:
        """The session that owns the ephemeral nodes made now; 0 without one."""
        return self._client.client_id[0] if self._client is not None and self._client.client_id else 0

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Calls back on every connection from now on, of this client and of those that replace it."""
        self._callbacks.append(callback)

    def remove_on_connected(self, callback: Callable[[], None]) -> None:
        self._callbacks.remove(callback)

    async def children(self, path: str, watch: Callable[[], None] | None = None) -> list[str]:
        """Names below a path, none if it does not exist; `watch` is called once, when they may have changed."""
        try:
            return await self._ask("get_children_async", path, watch=self._watcher(watch))
        except NoNodeError:
            return []

    async def owner(self, path: str, watch: Callable[[], None] | None = None) -> int | None:
        """The session that owns a node (0: it is persistent), None if there is no node."""
        stat = await self._ask("exists_async", path, watch=self._watcher(watch))
        return None if stat is None else stat.ephemeralOwner

    async def read(self, path: str) -> bytes | None:
        """A node's content, None if there is no node."""
        try:
            content, _ = await self._ask("get_async", path)
        except NoNodeError:
            return None
        return content

    async def create_ephemeral(self, path: str, content: bytes = b"") -> bool:
        """Makes a node that lives as long as this session, and what is missing above it; False if it exists."""
        try:
            await self._ask("create_async", path, content, ephemeral=True, makepath=True)
        except NodeExistsError:
            return False
        return True

    async def ensure_path(self, path: str) -> None:
        """Makes a persistent node and what is missing above it."""
        await self._ask("ensure_path_async", path)

    async def delete(self, path: str) -> None:
        """Deletes a node; it is no matter if there is none."""
        with suppress(NoNodeError):
            await self._ask("delete_async", path)

    async def _ask(self, verb: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401 (kazoo has no types)
        if not self.connected:
            raise ZooKeeperFailed("not connected")
        answer: asyncio.Future[Any] = self._loop.create_future()
        result = getattr(self._client, verb)(*arguments, **options)
        result.rawlink(lambda settled: self._post(_settle, answer, settled))
        try:
            async with asyncio.timeout(self._session_timeout_seconds):
                return await answer
        except (NoNodeError, NodeExistsError):
            raise
        except (KazooException, TimeoutError) as error:
            raise ZooKeeperFailed(f"{verb} {arguments[0]}: {error!r}") from error

    def _watcher(self, watch: Callable[[], None] | None) -> Callable[[Any], None] | None:
        """The same function for the same callback: kazoo keeps watchers in a set, so they don't pile up."""
        if watch is None:
            return None
        if watch not in self._watchers:
            self._watchers[watch] = lambda _event: self._post(watch)
        return self._watchers[watch]

    def _post(self, work: Callable[..., None], *arguments: object) -> None:
        """Runs work on the loop, from kazoo's threads; those outlive a closed loop for a moment."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work, *arguments)

    def _open(self) -> None:
        client = KazooClient(
            hosts=self._hosts,
            timeout=self._session_timeout_seconds,
            connection_retry=dict(_CONNECT_RETRY),
            auth_data=[("digest", self._auth)] if self._auth else None,
            default_acl=CREATOR_ALL_ACL if self._auth else None,
        )
        self._client = client
        self._disconnected_since = clock.monotonic_seconds()
        client.add_listener(lambda state: self._post(self._state_changed, client, state))
        client.start_async()

    def _state_changed(self, client: object, state: str) -> None:
        if client is not self._client:
            return  # a late word of a client that was replaced
        self._changed.set()
        if state != KazooState.CONNECTED:
            if self.connected:
                log.warning("zookeeper_disconnected", state=state)
                self._disconnected_since = clock.monotonic_seconds()
            self._connected_since = None
            return
        self._connected_since = clock.monotonic_seconds()
        log.info("zookeeper_connected", session_id=f"{self.session_id:x}")
        for callback in tuple(self._callbacks):
            callback()

    async def _watch_over(self) -> None:
        patience_seconds = 2 * self._session_timeout_seconds
        while True:
            await asyncio.sleep(min(1.0, patience_seconds / 10))
            silent_seconds = clock.monotonic_seconds() - self._disconnected_since
            if not self.connected and silent_seconds > patience_seconds:
                log.warning("zookeeper_client_replaced", silent_seconds=round(silent_seconds, 1))
                old, self._client = self._client, None
                await asyncio.to_thread(_dispose, old)
                self._open()


def _settle(answer: asyncio.Future[Any], result: Any) -> None:  # noqa: ANN401 (kazoo has no types)
    if answer.done():
        return  # nobody waits any more
    if result.exception is not None:
        answer.set_exception(result.exception)
    else:
        answer.set_result(result.value)


def _dispose(client: Any) -> None:  # noqa: ANN401 (kazoo has no types)
    """Ends a client for good; one that hangs in a connection attempt is left to die by itself."""
    with suppress(Exception):
        client.stop()
        client.close()
