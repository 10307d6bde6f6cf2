"""Clients of real ZooKeepers, and certificates."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kazoo.client import KazooClient

from chassis.xds_resources import Tls
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


class Authority:
    """Issues certificates with an identity as URI, into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._file = folder / f"{name}.pem"
        certificate = self._unsigned(self._key.public_key(), is_authority=True).sign(self._key, hashes.SHA256())
        self._file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, identity: str) -> Tls:
        key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        unsigned = self._unsigned(key.public_key(), is_authority=False).add_extension(uri, critical=False)
        stem = f"{self._file.stem}-{identity.replace('/', '-')}"
        tls = Tls(self._folder / f"{stem}.crt", self._folder / f"{stem}.key", self._file)
        tls.certificate.write_bytes(unsigned.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        tls.key.write_bytes(key.private_bytes(*form))
        return tls

    def _unsigned(self, key: ec.EllipticCurvePublicKey, *, is_authority: bool) -> x509.CertificateBuilder:
        constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=self._name if is_authority else x509.Name([]),
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
            not_valid_after=datetime(2090, 1, 1, tzinfo=UTC),
        ).add_extension(constraints, critical=True)


@pytest.fixture
def authority(tmp_path: Path) -> Callable[[str], Authority]:
    return lambda name: Authority(tmp_path, name)
