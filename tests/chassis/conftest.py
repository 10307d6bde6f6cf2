"""Clients of real ZooKeepers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from kazoo.client import KazooClient

from chassis.zookeeper import ZooKeeper
from devstack.testing import ZooKeeperServer

SESSION_SECONDS = 1.0


async def eventually(holds: Callable[[], bool], within_seconds: float = 10.0) -> None:
    async with asyncio.timeout(within_seconds):
        while not holds():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.02)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Awaitable[None]]:
    return eventually


@pytest.fixture
async def zookeeper_client(zookeeper_server: ZooKeeperServer) -> AsyncIterator[Callable[..., Awaitable[ZooKeeper]]]:
    """Makes connected clients of the test's own ZooKeeper, with a session of one second."""
    made: list[ZooKeeper] = []

    async def make(auth: str = "") -> ZooKeeper:
        client = ZooKeeper(zookeeper_server.hosts, auth, SESSION_SECONDS)
        made.append(client)
        await client.start(wait_seconds=5)
        return client

    yield make
    await asyncio.gather(*(client.stop() for client in made))


@pytest.fixture
async def zookeeper(zookeeper_client: Callable[..., Awaitable[ZooKeeper]]) -> ZooKeeper:
    client = await zookeeper_client()
    assert client.connected
    return client


@pytest.fixture
def expire_session(zookeeper_server: ZooKeeperServer) -> Callable[[ZooKeeper], Awaitable[None]]:
    """Ends a client's session behind its back: whoever shows the session's password may close it."""

    def expire(client_id: tuple[int, bytes]) -> None:
        thief = KazooClient(zookeeper_server.hosts, client_id=client_id)
        thief.start()
        thief.stop()
        thief.close()

    async def expire_session(client: ZooKeeper) -> None:
        await asyncio.to_thread(expire, client._client.client_id)

    return expire_session
