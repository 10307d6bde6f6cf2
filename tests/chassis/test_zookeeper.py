import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chassis.zookeeper import ZooKeeper, ZooKeeperFailed
from devstack.testing import ZooKeeperServer


async def test_an_ephemeral_node_is_made_once_and_belongs_to_the_session(zookeeper: ZooKeeper):
    assert await zookeeper.create_ephemeral("/a/b", b"x")
    assert not await zookeeper.create_ephemeral("/a/b")
    assert await zookeeper.owner("/a/b") == zookeeper.session_id
    assert await zookeeper.read("/a/b") == b"x"
    assert await zookeeper.owner("/a") == 0
    await zookeeper.delete("/a/b")
    await zookeeper.delete("/a/b")
    assert await zookeeper.owner("/a/b") is None
    assert await zookeeper.read("/a/b") is None
    assert await zookeeper.children("/nowhere") == []


async def test_a_watch_is_called_on_the_loop_when_children_change(zookeeper: ZooKeeper):
    changed = asyncio.Event()
    await zookeeper.ensure_path("/folder")
    assert await zookeeper.children("/folder", watch=changed.set) == []
    await zookeeper.create_ephemeral("/folder/child")
    async with asyncio.timeout(5):
        await changed.wait()


async def test_callbacks_run_again_after_the_session_expired(
    zookeeper: ZooKeeper,
    expire_session: Callable[[ZooKeeper], Awaitable[None]],
    eventually: Callable[..., Awaitable[None]],
):
    calls: list[int] = []
    zookeeper.on_connected(lambda: calls.append(zookeeper.session_id))
    before = zookeeper.session_id
    await expire_session(zookeeper)
    await eventually(lambda: any(session not in {before, 0} for session in calls))
    assert zookeeper.connected


async def test_a_zookeeper_that_lost_its_data_gets_a_new_client(
    zookeeper: ZooKeeper, zookeeper_server: ZooKeeperServer, eventually: Callable[..., Awaitable[None]]
):
    await zookeeper.create_ephemeral("/mine")
    first = zookeeper._client
    await asyncio.to_thread(zookeeper_server.empty)
    await asyncio.to_thread(zookeeper_server.start)
    await eventually(lambda: zookeeper.connected, within_seconds=30)
    assert zookeeper._client is not first
    assert await zookeeper.owner("/mine") is None
    assert await zookeeper.create_ephemeral("/mine")


async def test_it_starts_without_zookeeper_and_connects_later(
    zookeeper_server: ZooKeeperServer, eventually: Callable[..., Awaitable[None]]
):
    zookeeper_server.stop()
    late = ZooKeeper(zookeeper_server.hosts, session_timeout_seconds=1)
    await late.start(wait_seconds=0.1)
    try:
        assert not late.connected
        with pytest.raises(ZooKeeperFailed, match="not connected"):
            await late.children("/")
        await asyncio.to_thread(zookeeper_server.start)
        await eventually(lambda: late.connected)
    finally:
        await late.stop()


async def test_with_credentials_nodes_are_the_creators_only(
    zookeeper: ZooKeeper, zookeeper_client: Callable[..., Awaitable[ZooKeeper]]
):
    bank = await zookeeper_client("bank:secret")
    await bank.ensure_path("/private")
    assert await bank.children("/private") == []
    with pytest.raises(ZooKeeperFailed, match="NoAuth"):
        await zookeeper.children("/private")
