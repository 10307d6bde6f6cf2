import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from chassis import discovery as discovery_module
from chassis.discovery import Discovery, Snapshot, parse_providers
from chassis.provider import Provider, node_name
from chassis.registry import Registry, Traits
from chassis.zookeeper import ZooKeeper
from devstack.testing import ZooKeeperServer

SERVICE = "banyan.test.v1.TestService"
OTHER = "banyan.test.v1.OtherService"
Eventually = Callable[..., Awaitable[None]]


@pytest.fixture
async def registry(zookeeper_client: Callable[..., Awaitable[ZooKeeper]]) -> AsyncIterator[Registry]:
    registry = Registry(await zookeeper_client(), "test_svc")
    await registry.register([(SERVICE, ["Get"])], "127.0.0.1", 50051)
    yield registry
    await registry.unregister()


@pytest.fixture
async def discovery(zookeeper: ZooKeeper, registry: Registry, tmp_path: Path) -> AsyncIterator[Discovery]:
    assert registry.registered
    discovery = Discovery(zookeeper, [SERVICE, OTHER], tmp_path / "discovery.json")
    await discovery.start()
    yield discovery
    await discovery.stop()


def addresses(snapshot: Snapshot | None) -> list[str]:
    assert snapshot is not None
    return [provider.address for provider in snapshot.providers[SERVICE]]


async def away(tmp_path: Path) -> tuple[ZooKeeper, Discovery]:
    zookeeper = ZooKeeper("127.0.0.1:1", session_timeout_seconds=1)
    await zookeeper.start(wait_seconds=0.05)
    return zookeeper, Discovery(zookeeper, [SERVICE, OTHER], tmp_path / "discovery.json")


async def test_the_first_snapshot_lists_every_known_service(discovery: Discovery):
    assert addresses(discovery.snapshot) == ["127.0.0.1:50051"]
    assert discovery.snapshot is not None
    assert discovery.snapshot.providers[OTHER] == ()


async def test_comers_goers_and_soft_off_are_told_to_subscribers(
    discovery: Discovery, registry: Registry, zookeeper: ZooKeeper, eventually: Eventually
):
    told: list[list[str]] = []
    unsubscribe = discovery.subscribe(lambda snapshot: told.append(addresses(snapshot)))
    second = Registry(zookeeper, "test_svc")
    await second.register([(SERVICE, ["Get"])], "127.0.0.1", 50052)
    await eventually(lambda: told[-1:] == [["127.0.0.1:50051", "127.0.0.1:50052"]])
    await registry.change(Traits(disabled=True))
    await eventually(lambda: told[-1] == ["127.0.0.1:50052"])
    await second.unregister()
    await eventually(lambda: told[-1] == [])  # within the grace, but this connection has named providers before
    unsubscribe()


async def test_a_zookeeper_that_came_back_empty_is_not_believed_for_a_while(
    discovery: Discovery,
    registry: Registry,
    zookeeper: ZooKeeper,
    zookeeper_server: ZooKeeperServer,
    eventually: Eventually,
):
    told: list[list[str]] = []
    discovery.subscribe(lambda snapshot: told.append(addresses(snapshot)))
    await asyncio.to_thread(zookeeper_server.empty)
    await registry.unregister()  # and it never comes back
    await asyncio.to_thread(zookeeper_server.start)
    await eventually(lambda: zookeeper.connected, within_seconds=30)
    await asyncio.sleep(0.5)
    assert addresses(discovery.snapshot) == ["127.0.0.1:50051"]
    assert told == []
    with pytest.MonkeyPatch.context() as later:
        later.setattr(discovery_module, "EMPTY_GRACE_SECONDS", 0.0)
        discovery._wake.set()
        await eventually(lambda: told == [[]])


async def test_without_zookeeper_the_last_list_stays(
    discovery: Discovery, zookeeper: ZooKeeper, zookeeper_server: ZooKeeperServer, eventually: Eventually
):
    await asyncio.to_thread(zookeeper_server.stop)
    await eventually(lambda: not zookeeper.connected)
    discovery._wake.set()
    await asyncio.sleep(0.2)
    assert addresses(discovery.snapshot) == ["127.0.0.1:50051"]


async def test_it_starts_from_the_disk_when_zookeeper_is_away(discovery: Discovery, tmp_path: Path):
    zookeeper, late = await away(tmp_path)
    await late.start()
    assert late.snapshot == discovery.snapshot
    await late.stop()
    await zookeeper.stop()


@pytest.mark.parametrize("spoil", [{"read_time": 1.0}, {"nodes": []}, {"nodes": {SERVICE: []}}])
async def test_an_old_a_broken_and_an_empty_cache_are_not_used(
    discovery: Discovery, tmp_path: Path, spoil: dict[str, object]
):
    await discovery.stop()
    cache = tmp_path / "discovery.json"
    cache.write_text(json.dumps(json.loads(cache.read_text()) | spoil))
    zookeeper, late = await away(tmp_path)
    await late.start()
    assert late.snapshot is None
    await late.stop()
    await zookeeper.stop()


def test_of_two_nodes_of_one_address_the_younger_counts():
    old, new = (Provider(SERVICE, "10.0.0.1", 1, timestamp_ms=ms, weight=ms) for ms in (1, 2))
    for names in ([node_name(old), node_name(new)], [node_name(new), node_name(old), "rubbish"]):
        assert parse_providers(SERVICE, names) == (new,)
