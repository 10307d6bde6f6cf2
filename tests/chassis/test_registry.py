import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from chassis import registry as registry_module
from chassis.provider import node_name, parse_node_name
from chassis.registry import Registry, Traits
from chassis.zookeeper import ZooKeeper
from devstack.testing import ZooKeeperServer

SERVICE = "banyan.test.v1.TestService"
FOLDER = f"/dubbo/{SERVICE}/providers"


@pytest.fixture
async def registry(zookeeper: ZooKeeper) -> AsyncIterator[Registry]:
    registry = Registry(zookeeper, "test_svc")
    await registry.register([(SERVICE, ["List", "Get"])], "127.0.0.1", 50051)
    yield registry
    await registry.unregister()


async def test_a_service_stands_in_zookeeper_in_dubbos_layout(registry: Registry, zookeeper: ZooKeeper):
    assert registry.registered
    [name] = await zookeeper.children(FOLDER)
    provider = parse_node_name(name)
    assert provider is not None
    stamp = provider.timestamp_ms
    assert stamp > 1_700_000_000_000
    assert name == (
        f"tri%3A%2F%2F127.0.0.1%3A50051%2F{SERVICE}%3Fapplication%3Dtest_svc%26deprecated%3Dfalse%26dubbo%3D2.0.2"
        f"%26dynamic%3Dtrue%26generic%3Dfalse%26interface%3D{SERVICE}%26methods%3DGet%2CList"
        f"%26release%3Dbanyan-0.1%26serialization%3Dprotobuf%26side%3Dprovider%26timestamp%3D{stamp}"
    )
    assert await zookeeper.owner(f"{FOLDER}/{name}") == zookeeper.session_id


async def test_it_registers_again_after_its_session_expired(
    registry: Registry,
    zookeeper: ZooKeeper,
    expire_session: Callable[[ZooKeeper], Awaitable[None]],
    eventually: Callable[..., Awaitable[None]],
):
    [name] = await zookeeper.children(FOLDER)
    before = zookeeper.session_id
    await expire_session(zookeeper)
    await eventually(lambda: zookeeper.session_id not in {before, 0} and registry.registered)
    assert await zookeeper.owner(f"{FOLDER}/{name}") == zookeeper.session_id


async def test_it_registers_again_in_a_zookeeper_that_lost_its_data(
    registry: Registry,
    zookeeper: ZooKeeper,
    zookeeper_server: ZooKeeperServer,
    eventually: Callable[..., Awaitable[None]],
):
    [name] = await zookeeper.children(FOLDER)
    await asyncio.to_thread(zookeeper_server.empty)
    assert not registry.registered
    await asyncio.to_thread(zookeeper_server.start)
    await eventually(lambda: registry.registered, within_seconds=30)
    assert await zookeeper.children(FOLDER) == [name]


async def test_a_node_deleted_by_hand_returns_with_the_next_audit(
    zookeeper: ZooKeeper, zookeeper_client: Callable[..., Awaitable[ZooKeeper]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(registry_module, "AUDIT_SECONDS", 0.1)
    quick = Registry(zookeeper, "test_svc")
    await quick.register([("banyan.test.v1.Quick", [])], "127.0.0.1", 50052)
    operator = await zookeeper_client()
    folder = "/dubbo/banyan.test.v1.Quick/providers"
    [name] = await zookeeper.children(folder)
    await operator.delete(f"{folder}/{name}")
    await asyncio.sleep(0.5)
    assert await zookeeper.children(folder) == [name]
    await quick.unregister()


async def test_a_node_of_another_session_is_deleted_and_made_again(
    registry: Registry, zookeeper: ZooKeeper, zookeeper_client: Callable[..., Awaitable[ZooKeeper]]
):
    [name] = await zookeeper.children(FOLDER)
    dead = await zookeeper_client()
    await zookeeper.delete(f"{FOLDER}/{name}")
    await dead.create_ephemeral(f"{FOLDER}/{name}")
    await registry._reconcile()
    await dead.stop()
    assert await zookeeper.owner(f"{FOLDER}/{name}") == zookeeper.session_id


@pytest.mark.usefixtures("registry")
async def test_a_killed_predecessor_on_the_same_address_is_removed(
    zookeeper: ZooKeeper, zookeeper_client: Callable[..., Awaitable[ZooKeeper]]
):
    [name] = await zookeeper.children(FOLDER)
    successor = Registry(await zookeeper_client(), "test_svc")
    await asyncio.sleep(0.002)  # another timestamp
    await successor.register([(SERVICE, ["Get"])], "localhost", 50051)
    names = await zookeeper.children(FOLDER)
    assert len(names) == 1
    assert names != [name]
    await successor.unregister()


async def test_traits_are_rewritten_and_leave_one_node(registry: Registry, zookeeper: ZooKeeper):
    [name] = await zookeeper.children(FOLDER)
    plain = parse_node_name(name)
    assert plain is not None
    await registry.change(Traits(weight=7, tag="gray", disabled=True))
    assert await zookeeper.children(FOLDER) == [node_name(replace(plain, weight=7, tag="gray", disabled=True))]
    await registry.change(Traits())
    assert await zookeeper.children(FOLDER) == [name]


async def test_a_service_that_leaves_is_gone_at_once(registry: Registry, zookeeper: ZooKeeper):
    await registry.unregister()
    assert not registry.registered
    assert await zookeeper.children(FOLDER) == []


async def test_it_registers_as_soon_as_zookeeper_is_there(
    zookeeper_server: ZooKeeperServer, eventually: Callable[..., Awaitable[None]]
):
    zookeeper_server.stop()
    late = ZooKeeper(zookeeper_server.hosts, session_timeout_seconds=1)
    await late.start(wait_seconds=0.1)
    registry = Registry(late, "test_svc")
    await registry.register([(SERVICE, ["Get"])], "127.0.0.1", 50051)
    assert not registry.registered
    await asyncio.to_thread(zookeeper_server.start)
    await eventually(lambda: registry.registered)
    await registry.unregister()
    await late.stop()
