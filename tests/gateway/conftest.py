"""The gateway as a real process, with a real Envoy, in front of a backend that it finds in the real ZooKeeper."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import clock
from chassis.caller import Role
from chassis.tokens import KeyRing, Signer, make_key
from devstack.home import Home
from gateway.descriptors import Protos

BACKEND = Path(__file__).with_name("backend.py")
ROOT = Path(__file__).parents[2]
READY_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def json(self) -> Any:
        assert self.content_type == "application/json", (self.content_type, self.body)
        return json.loads(self.body)


@dataclass(frozen=True)
class Edge:
    """Talks HTTP/1.1 to a gateway."""

    port: int
    token: str = ""
    pid: int = 0

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request; a body that is not bytes is sent as JSON."""
        connection, response = self.open(method, path, body, headers)
        with closing(connection):
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def open(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """The same with the body still to be read."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"authorization": f"Bearer {self.token}"} if self.token else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, raw, {**given, **(headers or {})})
            return connection, connection.getresponse()
        except OSError:
            connection.close()
            raise

    def without_token(self) -> "Edge":
        return Edge(self.port)

    def with_token(self, token: str) -> "Edge":
        return Edge(self.port, token)


@dataclass(frozen=True)
class Backend:
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def toggle_products(self) -> None:
        """Takes ProductService out of ZooKeeper, or puts it back."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.port


@pytest.fixture(scope="session")
def protos() -> Protos:
    return Protos()


@pytest.fixture(scope="session")
def keys(session_home: Home) -> Path:
    folder = session_home.root / "gateway-keys"
    make_key(folder, "assignment_svc", clock.now() - timedelta(hours=1))
    return folder


@pytest.fixture(scope="session")
def sign(keys: Path) -> Callable[..., str]:
    """`sign()` is a manager's good token; `sign(timedelta(...))` one that expires that far from now."""
    signer = Signer(KeyRing(keys), "assignment_svc")

    def token(life: timedelta = timedelta(hours=1)) -> str:
        now = clock.now()
        return signer.staff_token("s1", "b1", [Role.MANAGER], "session", now, now + life)

    return token


@pytest.fixture(scope="session")
def start_backend() -> Iterator[Callable[..., Backend]]:
    """`start_backend(zookeeper_hosts, keys)` starts a backend; all are ended with the session."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> Backend:
        process = subprocess.Popen(
            [sys.executable, str(BACKEND), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        )
        started.append(process)
        found = Backend(process)
        assert found.port
        return found

    yield start
    for process in started:
        with process:
            process.kill()


@pytest.fixture(scope="session")
def backend(start_backend: Callable[..., Backend], zookeeper_hosts: str, keys: Path) -> Backend:
    return start_backend(zookeeper_hosts, keys)


@pytest.fixture(scope="session")
def start_gateway(session_home: Home, zookeeper_hosts: str) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """`start_gateway("name", port, REQUESTS_PER_SECOND=1)` starts one more gateway; all are ended with the session."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, port: int, **settings: object) -> "subprocess.Popen[bytes]":
        told = {"HOME": session_home.root / name, "PORT": port, "ZOOKEEPER": zookeeper_hosts, **settings}
        with (session_home.root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway"],
                env={**os.environ, **{f"BANYAN_GATEWAY_{key}": str(value) for key, value in told.items()}},
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def edge(start_gateway: Callable[..., "subprocess.Popen[bytes]"], backend: Backend, sign: Callable[..., str]) -> Edge:
    """A gateway in front of the backend, ready, with a good token."""
    assert backend.process.poll() is None
    port = free_port()
    process = start_gateway("gw", port, DRAIN_SECONDS=0, CORS_ORIGINS='["https://app.bank"]', METRICS_PORT=free_port())
    found = Edge(port, sign(), process.pid)
    until(lambda: found.ask("GET", "/healthz").status == http.client.OK)
    until(lambda: found.ask("GET", "/v1/products").status == http.client.OK)
    return found


@pytest.fixture(scope="session")
def new_port() -> Callable[[], int]:
    return free_port


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], bool]], None]:
    return until


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(true: Callable[[], bool]) -> None:
    """Waits until something holds; a refused connection does not."""
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
