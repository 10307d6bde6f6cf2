"""The whole system of a home: servers, databases, keys, services, gateway; started, kept running, stopped."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chassis import paging
from chassis.clock import now
from chassis.data_keys import make_missing_data_keys
from chassis.tokens import make_key
from devstack import postgres, services, valkey, zookeeper
from devstack.home import Home, port_is_free, write_whole
from devstack.leftovers import stop_leftovers
from devstack.postgres import Postgres
from devstack.process import run_all_to_end
from devstack.services import Servers
from devstack.supervisor import Supervisor

_LOG_FORMAT = "%(asctime)s %(message)s"


class PortInUse(Exception):
    """The gateway's port belongs to somebody else."""


@dataclass(frozen=True)
class Options:
    """How a system is run."""

    port: int = 8080
    """The gateway's; 0 means the one used last time, else a free one."""
    instances: int = 1
    """Of each service."""


class System:
    """A run of the system in a home that nobody else uses.

    `report` is told what happens next, for a human to read. Whatever interrupts it, `stop` ends what was started.
    """

    def __init__(self, home: Home, report: Callable[[str], None]) -> None:
        self.home = home
        self._report = report
        self._supervisor: Supervisor | None = None

    def take_home(self) -> None:
        """Locks the home, which comes first, and ends what a killed run left in it."""
        self.home.lock()
        _log_to(self.home.log("supervisor"))
        self._supervisor = Supervisor(self.home, os.getpid())
        for name in stop_leftovers(self.home):
            self._report(f"stopped {name}, left by a run that was killed")

    def start(self, options: Options, currency: str) -> str:
        """Starts everything, waits until the gateway serves, and returns its URL."""
        supervisor = self._supervising()
        port = options.port or self.home.port("gateway")
        if not port_is_free(port):
            raise PortInUse(f"port {port} of 127.0.0.1 is in use by another program; choose another with --port")
        servers = self.start_servers()
        self.tell("updating the databases")
        migrate(self.home, servers)
        self.tell("starting the services and the gateway")
        instances = services.instances(self.home, servers, options.instances, currency)
        supervisor.start(instances, [services.gateway(self.home, servers, port)])
        return f"http://127.0.0.1:{port}"

    def migrate(self) -> None:
        """Brings the databases up to date with nothing but the servers running."""
        servers = self.start_servers()
        self.tell("updating the databases")
        migrate(self.home, servers)

    def start_servers(self) -> Servers:
        """Starts PostgreSQL, Valkey and ZooKeeper side by side."""
        supervisor = self._supervising()
        self.tell("starting PostgreSQL, Valkey and ZooKeeper")
        specs = [postgres.spec(self.home), valkey.spec(self.home), zookeeper.spec(self.home)]
        supervisor.start(specs)
        postgres_port, valkey_port, zookeeper_port = (spec.port for spec in specs)
        details = {"zookeeper": zookeeper.hosts(zookeeper_port), "valkey_url": valkey.url(valkey_port)}
        supervisor.tell("the servers run", {**details, "keys": str(services.keys(self.home))})
        return Servers(Postgres(self.home, postgres_port), valkey_port, zookeeper_port)

    def tell(self, phase: str) -> None:
        """Says what happens now, to the user and in `state.json`."""
        self._supervising().tell(phase)
        self._report(phase)

    def tell_ready(self, url: str) -> None:
        """Says to `banyan status`, and to who waits for a detached run, that the system serves."""
        self._supervising().tell("ready", {"url": url}, ready=True)

    def stop(self) -> None:
        """Stops the gateway, then the services, then the servers, and gives the home back."""
        if self._supervisor is None:
            return
        self._report("stopping")
        self._supervisor.stop()
        self._supervisor.tell("stopped")
        self.home.unlock()
        self._supervisor = None

    def _supervising(self) -> Supervisor:
        assert self._supervisor is not None, "the home must be taken first"
        return self._supervisor


def migrate(home: Home, servers: Servers) -> None:
    """Makes the databases and keys that are missing, and brings every database up to date."""
    for service in services.SERVICES:
        servers.postgres.ensure(f"{service}_svc")
    make_keys(services.keys(home))
    make_missing_data_keys(services.data_keys(home), now())
    stamp, code = home.root / "migrated", services.migrations_digest()
    # Four processes that find nothing to do would be half of a second start.
    if not stamp.exists() or stamp.read_text() != code:
        run_all_to_end(services.migrations(home, servers), home)
        write_whole(stamp, code)


def _log_to(file: Path) -> None:
    """Sends what the supervisor has to say to a file; a second run in this process replaces the first one's."""
    log = logging.getLogger("banyan.supervisor")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    log.addHandler(handler)
    log.propagate = False


def make_keys(folder: Path) -> None:
    """Makes what signs tokens and page tokens, where it is missing."""
    for application in services.APPLICATIONS:
        if not any((folder / "public" / application).glob("*.pem")):
            make_key(folder, application, now())
    paging.secret(folder)
