"""Real servers for every test that asks: one of each per session, from the wheels, on free ports."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack import postgres as postgres_server
from devstack import valkey as valkey_server
from devstack import zookeeper as zookeeper_server_spec
from devstack.home import Home
from devstack.process import Child, Spec, start_all, stop_all
from devstack.testing import ZooKeeperServer


@pytest.fixture(scope="session")
def session_home() -> Iterator[Home]:
    """A short folder: unix sockets stand in it, and pytest's own are too long."""
    folder = Path(tempfile.mkdtemp(prefix="bny-"))
    folder.chmod(0o711)  # PostgreSQL passes through as another user
    yield Home(folder)
    shutil.rmtree(folder)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=5, help="how often tests by chance run, each with its own seed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `seed` runs once for each."""
    if "seed" in metafunc.fixturenames:
        count: int = metafunc.config.getoption("--seeds", default=5) or 5
        metafunc.parametrize("seed", range(count))


def _running(spec: Spec, home: Home) -> Iterator[Child]:
    children = start_all([spec], home)
    yield children[0]
    stop_all(children)


@pytest.fixture(scope="session")
def postgres(session_home: Home) -> Iterator[postgres_server.Postgres]:
    """`postgres.create("name")` makes a fresh database with a role of its own and returns its URL."""
    for child in _running(postgres_server.spec(session_home, durable=False), session_home):
        yield postgres_server.Postgres(session_home, child.spec.port)


@pytest.fixture(scope="session")
def valkey_url(session_home: Home) -> Iterator[str]:
    for child in _running(valkey_server.spec(session_home), session_home):
        yield valkey_server.url(child.spec.port)


@pytest.fixture(scope="session")
def zookeeper_hosts(session_home: Home) -> Iterator[str]:
    for child in _running(zookeeper_server_spec.spec(session_home, durable=False), session_home):
        yield zookeeper_server_spec.hosts(child.spec.port)


@pytest.fixture
def zookeeper_server(session_home: Home) -> Iterator[ZooKeeperServer]:
    """A ZooKeeper of the test's own, running: it may stop, start and empty it."""
    server = ZooKeeperServer(session_home)
    server.start()
    yield server
    server.stop()
