import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from redis.asyncio import Redis

from devstack import wheels
from devstack.testing import ZooKeeperServer


async def test_valkey_answers(valkey_url: str):
    async with Redis.from_url(valkey_url) as client:
        await client.set("key", b"value")
        assert await client.get("key") == b"value"


def read(hosts: str, path: str) -> bytes:
    client = KazooClient(hosts=hosts)
    client.start()
    try:
        found = client.get(path)
        assert found
        return found[0]
    finally:
        client.stop()
        client.close()


def write(hosts: str, path: str, value: bytes) -> None:
    client = KazooClient(hosts=hosts)
    client.start()
    client.create(path, value)
    client.stop()
    client.close()


def test_zookeeper_remembers(zookeeper_hosts: str):
    write(zookeeper_hosts, "/remembered", b"value")
    assert read(zookeeper_hosts, "/remembered") == b"value"


def test_a_private_zookeeper_keeps_its_data_when_stopped(zookeeper_server: ZooKeeperServer):
    write(zookeeper_server.hosts, "/kept", b"value")
    zookeeper_server.stop()
    zookeeper_server.start()
    assert read(zookeeper_server.hosts, "/kept") == b"value"


def test_a_private_zookeeper_comes_back_empty_when_emptied(zookeeper_server: ZooKeeperServer):
    write(zookeeper_server.hosts, "/lost", b"value")
    zookeeper_server.empty()
    zookeeper_server.start()
    with pytest.raises(NoNodeError):
        read(zookeeper_server.hosts, "/lost")


def test_node_and_npm_are_at_hand():
    assert wheels.node().exists()
    assert wheels.node().with_name("npm").exists()


def test_a_package_that_is_absent_is_named():
    with pytest.raises(FileNotFoundError, match="absent_package"):
        wheels.package("absent_package")
