"""Registers this process's services in ZooKeeper in Dubbo's layout, and keeps them registered."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address

import structlog

from chassis import clock
from chassis.provider import WEIGHT_DEFAULT, Provider, node_name, parse_node_name, providers_path
from chassis.zookeeper import ZooKeeper, ZooKeeperFailed

log = structlog.get_logger(__name__)

AUDIT_SECONDS = 10.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Traits:
    """How consumers shall treat this instance: its share of the calls, its tag, whether it is switched off softly."""

    weight: int = WEIGHT_DEFAULT
    tag: str = ""
    disabled: bool = False


class Registry:
    """Keeps one ephemeral node per service: made again on every new session, audited every 10 s.

    ZooKeeper being away is no error here: what is wanted is written as soon as it can be.
    """

    def __init__(self, zookeeper: ZooKeeper, application: str) -> None:
        self._zookeeper = zookeeper
        self._application = application
        self._wanted: tuple[Provider, ...] = ()
        self._gone: set[str] = set()
        self._holding_session = 0  # the session that held every node when last looked at
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def registered(self) -> bool:
        """Whether every node was there and this session's when last looked at, and ZooKeeper is still connected."""
        return self._zookeeper.connected and self._holding_session == self._zookeeper.session_id != 0

    async def register(
        self, services: Sequence[tuple[str, Sequence[str]]], host: str, port: int, traits: Traits | None = None
    ) -> None:
        """Registers services, each with its methods, under this address; returns after the first attempt."""
        assert self._keeper is None, "registered twice"
        address = await asyncio.to_thread(_routable, host)
        plain = [
            Provider(name, address, port, self._application, tuple(methods), _now_ms()) for name, methods in services
        ]
        self._wanted = tuple(_with_traits(provider, traits or Traits()) for provider in plain)
        self._zookeeper.on_connected(self._wake.set)
        with suppress(ZooKeeperFailed):
            await self._remove_predecessors()
            await self._reconcile()
        self._keeper = asyncio.create_task(self._keep())

    async def change(self, traits: Traits) -> None:
        """Rewrites the nodes: another weight, another tag, soft-off or on again."""
        before = self._wanted
        self._wanted = tuple(_with_traits(provider, traits) for provider in before)
        self._gone = (self._gone | set(map(_path, before))) - set(map(_path, self._wanted))
        self._wake.set()
        with suppress(ZooKeeperFailed):
            await self._reconcile()

    async def unregister(self) -> None:
        """Leaves ZooKeeper; if that cannot be reached, the nodes end with the session."""
        if self._keeper is None:
            return
        self._zookeeper.remove_on_connected(self._wake.set)
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        self._keeper = None
        self._holding_session = 0
        leaving, self._wanted = self._wanted, ()
        with suppress(ZooKeeperFailed):
            await asyncio.gather(*(self._zookeeper.delete(path) for path in {*map(_path, leaving), *self._gone}))

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(AUDIT_SECONDS if self.registered else RETRY_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._reconcile()
            except ZooKeeperFailed as failure:
                self._holding_session = 0
                log.debug("registry_waits", failure=str(failure))

    async def _reconcile(self) -> None:
        session = self._zookeeper.session_id
        await asyncio.gather(*(self._hold(_path(provider)) for provider in self._wanted))
        for path in tuple(self._gone):  # after the new ones, so that no reader finds none
            await self._zookeeper.delete(path)
            self._gone.discard(path)
        if self._holding_session != session and self._wanted:
            log.info("registered", services=[p.interface for p in self._wanted], address=self._wanted[0].address)
        self._holding_session = session

    async def _hold(self, path: str) -> None:
        """Makes the node ours: one that a dead session left would vanish with it, so it is deleted and made again."""
        owner = await self._zookeeper.owner(path)
        if owner is not None and owner != self._zookeeper.session_id:
            log.warning("registry_node_of_another_session", owner=f"{owner:x}")
            await self._zookeeper.delete(path)
        if owner != self._zookeeper.session_id:
            await self._zookeeper.create_ephemeral(path)

    async def _remove_predecessors(self) -> None:
        """Deletes what a killed process left under this address: the port is ours, so it is dead."""
        for wanted in self._wanted:
            folder = providers_path(wanted.interface)
            for name in await self._zookeeper.children(folder):
                found = parse_node_name(name)
                if found is not None and found.address == wanted.address and name != node_name(wanted):
                    await self._zookeeper.delete(f"{folder}/{name}")


def _path(provider: Provider) -> str:
    return f"{providers_path(provider.interface)}/{node_name(provider)}"


def _with_traits(provider: Provider, traits: Traits) -> Provider:
    return replace(provider, weight=traits.weight, tag=traits.tag, disabled=traits.disabled)


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def _routable(host: str) -> str:
    """The address that others call: names are resolved here, since consumers take addresses only."""
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = socket.gethostname()
    with suppress(ValueError):
        return str(ip_address(host))
    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
