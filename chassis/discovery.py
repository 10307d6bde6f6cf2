"""Watches the providers of the services that this process calls, and yields immutable snapshots of them."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import structlog

from chassis import clock
from chassis.provider import Provider, node_name, parse_node_name, providers_path
from chassis.zookeeper import ZooKeeper, ZooKeeperFailed

log = structlog.get_logger(__name__)

RECONCILE_SECONDS = 10.0
RETRY_SECONDS = 1.0
CACHE_SECONDS_MAX = 3600.0
CACHE_REWRITE_SECONDS = 60.0
# How long after a (re)connection an empty list is not believed: a ZooKeeper that lost its data hears from every
# provider again within twice the session timeout.
EMPTY_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Snapshot:
    """Who provides what, as of one full reading: every known service has an entry, maybe an empty one."""

    providers: Mapping[str, tuple[Provider, ...]]


class Discovery:
    """Level-triggered: any sign of change re-reads the full lists; the last good list stays when reading fails.

    Empty protection: a service that had providers keeps its last list while ZooKeeper says "none" within 60 s of a
    connection on which it has not named any yet, because a ZooKeeper that came back without its data says so too. At
    any other time "none" is believed.
    The last snapshot is kept on disk and used, up to an hour old, when ZooKeeper cannot be reached at start.
    """

    def __init__(self, zookeeper: ZooKeeper, services: Sequence[str], cache: Path) -> None:
        self._zookeeper = zookeeper
        self._services = tuple(dict.fromkeys(services))
        self._cache = cache
        self._snapshot: Snapshot | None = None
        self._subscribers: list[Callable[[Snapshot], None]] = []
        self._heard: dict[str, float] = {}  # service → the connection that named a provider of it last
        self._cache_write_time = 0.0
        self._wake = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        return self._snapshot

    @property
    def services(self) -> tuple[str, ...]:
        return self._services

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Calls back with every snapshot that differs from the one before; returns what ends the subscription."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def start(self) -> None:
        """Reads the first snapshot from ZooKeeper, else from the disk, else leaves none, and goes on watching."""
        assert self._follower is None, "started twice"
        self._zookeeper.on_connected(self._wake.set)
        try:
            await self._reconcile()
        except ZooKeeperFailed as failure:
            log.warning("discovery_starts_from_disk", failure=str(failure))
            cached = _read_cache(self._cache, self._services)
            if cached is not None:
                self._publish(cached)
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._follower is None:
            return
        self._zookeeper.remove_on_connected(self._wake.set)
        self._follower.cancel()
        await asyncio.gather(self._follower, return_exceptions=True)
        self._follower = None

    async def _follow(self) -> None:
        pause_seconds = RECONCILE_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._reconcile()
                pause_seconds = RECONCILE_SECONDS
            except ZooKeeperFailed as failure:
                log.debug("discovery_waits", failure=str(failure))
                pause_seconds = RETRY_SECONDS

    async def _reconcile(self) -> None:
        lists = await asyncio.gather(*(self._read(service) for service in self._services))
        read = Snapshot(MappingProxyType(dict(zip(self._services, lists, strict=True))))
        fresh = self._protected(read)
        if fresh != self._snapshot:
            self._publish(fresh)
        elif clock.monotonic_seconds() - self._cache_write_time < CACHE_REWRITE_SECONDS:
            return
        self._cache_write_time = clock.monotonic_seconds()
        _write_cache(self._cache, fresh)

    async def _read(self, service: str) -> tuple[Provider, ...]:
        folder = providers_path(service)
        await self._zookeeper.ensure_path(folder)  # a missing folder could not be watched
        return parse_providers(service, await self._zookeeper.children(folder, watch=self._wake.set))

    def _protected(self, read: Snapshot) -> Snapshot:
        """The snapshot, with the last list of each service whose empty one is not believed yet."""
        now = clock.monotonic_seconds()
        since = self._zookeeper.connected_since or now
        self._heard |= {service: since for service, found in read.providers.items() if found}
        if self._snapshot is None or now - since > EMPTY_GRACE_SECONDS:
            return read
        before = self._snapshot.providers
        kept = {
            service: found if found or self._heard.get(service) == since else before.get(service, ())
            for service, found in read.providers.items()
        }
        if kept != dict(read.providers):
            log.warning("discovery_empty_list_not_believed", services=[s for s in kept if kept[s] != read.providers[s]])
        return replace(read, providers=MappingProxyType(kept))

    def _publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        log.info("discovered", providers={s: [p.address for p in found] for s, found in snapshot.providers.items()})
        for callback in tuple(self._subscribers):
            callback(snapshot)


def parse_providers(service: str, names: Sequence[str]) -> tuple[Provider, ...]:
    """The providers that may be called, by address; of two nodes of one address the younger counts."""
    youngest: dict[str, Provider] = {}
    for name in names:
        found = parse_node_name(name)
        if found is None:
            log.warning("discovery_ignores_node", service=service, node=name[:200])
            continue
        if found.address not in youngest or youngest[found.address].timestamp_ms < found.timestamp_ms:
            youngest[found.address] = replace(found, interface=service)
    return tuple(sorted(provider for provider in youngest.values() if not provider.disabled))


def _write_cache(cache: Path, snapshot: Snapshot) -> None:
    nodes = {service: [node_name(provider) for provider in found] for service, found in snapshot.providers.items()}
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        fresh = cache.with_suffix(".new")
        fresh.write_text(json.dumps({"read_time": clock.now().timestamp(), "nodes": nodes}))
        fresh.replace(cache)
    except OSError as error:
        log.warning("discovery_cache_not_written", error=str(error))  # only a colder start is lost


def _read_cache(cache: Path, services: Sequence[str]) -> Snapshot | None:
    """The snapshot on disk if it is young enough and tells about any of the services."""
    try:
        kept = json.loads(cache.read_text())
        if clock.now().timestamp() - kept["read_time"] > CACHE_SECONDS_MAX:
            return None
        lists = {service: parse_providers(service, kept["nodes"].get(service, ())) for service in services}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # absent, or broken by a crash
    return Snapshot(MappingProxyType(lists)) if any(lists.values()) else None
