"""Our own processes: the four services, their migrations, the gateway; what each is told through its environment."""

import hashlib
import http.client
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack import valkey, wheels, zookeeper
from devstack.home import Home
from devstack.postgres import Postgres
from devstack.process import Spec

SERVICES = ("assignment", "customer", "campaign", "alert")
APPLICATIONS = (*(f"{service}_svc" for service in SERVICES), "cli")
# A migration of much data is slow, but one that waits for a lock gives up by itself after 3 s.
MIGRATION_SECONDS_MAX = 1800.0
# We stop all of them: none waits, as it does at SIGTERM, for others to take its calls over.
_STOP_SIGNAL = signal.SIGINT


@dataclass(frozen=True)
class Servers:
    """Where the servers of a run are reached."""

    postgres: Postgres
    valkey_port: int
    zookeeper_port: int


def keys(home: Home) -> Path:
    """The folder of keys that sign and check tokens."""
    return home.root / "keys"


def data_keys(home: Home) -> Path:
    """The folder of keys that customers' contact data are sealed and hashed by; whoever loses it loses those."""
    return home.root / "secrets" / "data-keys"


def instances(home: Home, servers: Servers, count: int, currency: str) -> list[Spec]:
    """The instances of all services, `count` of each."""
    return [
        _instance(home, servers, service, number, currency) for service in SERVICES for number in range(1, count + 1)
    ]


def migrations(home: Home, servers: Servers) -> list[Spec]:
    """One process per service that brings its database up to date, and ends."""
    return [
        Spec(
            name=f"{service}-migrate",
            command=_python(f"services.{service}_svc", "migrate"),
            directory=_folder(home.short / "services" / f"{service}-migrate"),
            environment=_environment(home, servers, service, f"{service}-migrate"),
            ready_seconds=MIGRATION_SECONDS_MAX,
        )
        for service in SERVICES
    ]


def migrations_digest() -> str:
    """Names the state of the code that makes the databases: it changes with any line of it."""
    folders = [wheels.package("services") / f"{service}_svc" / "store" / "migrations" for service in SERVICES]
    files = sorted(file for folder in [*folders, wheels.package("chassis") / "sql"] for file in folder.rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def gateway(home: Home, servers: Servers, port: int) -> Spec:
    """The gateway on the port that users are told."""
    folder = _folder(home.short / "gateway")
    told = {"HOME": folder, "PORT": port, "ZOOKEEPER": zookeeper.hosts(servers.zookeeper_port)}
    return Spec(
        name="gateway",
        command=_python("gateway"),
        directory=folder,
        environment=_prefixed("BANYAN_GATEWAY_", told),
        ready=lambda _pid: _is_healthy(port),
        port=port,
        stop_signal=_STOP_SIGNAL,
    )


def _instance(home: Home, servers: Servers, service: str, number: int, currency: str) -> Spec:
    name = f"{service}-{number}"
    port, metrics_port = home.port(name), home.port(f"{name}-metrics")
    more = {"PORT": port, "METRICS_PORT": metrics_port, "CURRENCY": currency}
    return Spec(
        name=name,
        command=_python(f"services.{service}_svc"),
        directory=_folder(home.short / "services" / name),
        environment={
            **_environment(home, servers, service, name),
            **_prefixed(f"BANYAN_{service.upper()}_", more),
        },
        ready=lambda _pid: _listens(port),
        port=port,
        stop_signal=_STOP_SIGNAL,
        metrics_port=metrics_port,
    )


def _environment(home: Home, servers: Servers, service: str, name: str) -> Mapping[str, str]:
    database = f"{service}_svc"
    told: dict[str, object] = {
        "HOME": home.short / "services" / name,
        "ZOOKEEPER": zookeeper.hosts(servers.zookeeper_port),
        "DATABASE_URL": servers.postgres.url(database),
        "DATABASE_PASSWORD_FILE": servers.postgres.password_file(database),
        "VALKEY_URL": valkey.url(servers.valkey_port),
        "KEYS": keys(home),
    }
    if service == "customer":
        told["DATA_KEYS"] = data_keys(home)
    return _prefixed(f"BANYAN_{service.upper()}_", told)


def _prefixed(prefix: str, told: Mapping[str, object]) -> dict[str, str]:
    return {f"{prefix}{name}": str(value) for name, value in told.items()}


def _python(module: str, *arguments: str) -> Sequence[str]:
    # -P: what happens to lie in the working folder is not imported.
    return (sys.executable, "-P", "-u", "-m", module, *arguments)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
