"""What runs: the processes of a home, the providers in ZooKeeper, how far each follower is behind its feed."""

import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import psutil
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoAuthError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from chassis.clock import now
from chassis.provider import Provider, parse_node_name, providers_path
from devstack.home import Home
from devstack.supervisor import ProcessState, State, read_state

ANSWER_SECONDS = 5
LAG_METRIC = "feed_lag_seconds"


@dataclass(frozen=True)
class ProcessShown:
    """A process, measured now."""

    name: str
    pid: int
    port: int
    state: str
    memory_mb: int
    uptime_seconds: int
    restarts: int


@dataclass(frozen=True)
class FollowerShown:
    """How far an instance is behind a feed that it follows."""

    process: str
    feed: str
    lag_seconds: float


@dataclass(frozen=True)
class Status:
    """All of it."""

    home: str
    running: bool
    phase: str
    url: str
    processes: list[ProcessShown]
    providers: list[Provider]
    followers: list[FollowerShown]

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {**asdict(self), "providers": rows(self.providers)}


class NoZooKeeper(Exception):
    """ZooKeeper cannot be reached, or does not let us in."""


def read(home: Home) -> Status:
    """Reads the status of a home's run; asks nothing of it that could slow it down."""
    state = read_state(home)
    owner = home.owner()
    if state is None or owner is None or owner != state.pid:
        return Status(str(home.root), running=False, phase="stopped", url="", processes=[], providers=[], followers=[])
    return Status(
        home=str(home.root),
        running=True,
        phase=state.phase,
        url=state.details.get("url", ""),
        processes=[_shown(process) for process in state.processes],
        providers=_providers_of(state),
        followers=[lag for process in state.processes if process.metrics_port for lag in lags(process)],
    )


def providers(hosts: str, auth: str = "") -> list[Provider]:
    """What is registered in ZooKeeper, read from it and not from anybody's memory; `auth` is `user:password`."""
    client = KazooClient(hosts=hosts, timeout=ANSWER_SECONDS, auth_data=[("digest", auth)] if auth else None)
    try:
        client.start(timeout=ANSWER_SECONDS)
        interfaces = _children(client, "/dubbo")
        names = [name for interface in interfaces for name in _children(client, providers_path(interface))]
    except KazooTimeoutError:
        raise NoZooKeeper(f"ZooKeeper does not answer at {hosts}") from None
    except NoAuthError:
        raise NoZooKeeper(f"ZooKeeper at {hosts} wants other credentials: set BANYAN_ZOOKEEPER_AUTH") from None
    except KazooException as error:
        raise NoZooKeeper(f"ZooKeeper at {hosts} broke off: {error!r}") from error
    finally:
        client.stop()
        client.close()
    return sorted(provider for provider in map(parse_node_name, names) if provider)


def rows(found: Sequence[Provider]) -> list[dict[str, object]]:
    """Providers for machines, without the methods, which the protos tell."""
    return [
        {
            "interface": one.interface,
            "host": one.host,
            "port": one.port,
            "application": one.application,
            "weight": one.weight,
            "tag": one.tag,
            "disabled": one.disabled,
        }
        for one in found
    ]


def table(found: Sequence[Provider]) -> list[dict[str, str]]:
    """Providers for people, in 80 columns."""
    return [
        {
            "interface": one.interface,
            "address": one.address,
            "weight": "off" if one.disabled else str(one.weight),
            "tag": one.tag,
        }
        for one in found
    ]


def zookeeper_of(home: Home) -> str:
    """Where the ZooKeeper of a home's run is; empty if nothing runs."""
    state = read_state(home)
    return state.details.get("zookeeper", "") if state and home.owner() == state.pid else ""


def lags(process: ProcessState) -> Iterable[FollowerShown]:
    """What an instance says about its followers; nothing when it does not answer."""
    for sample in samples(process):
        if sample.name.endswith(LAG_METRIC):
            yield FollowerShown(process.name, "/".join(sample.labels.values()), round(sample.value, 1))


def samples(process: ProcessState) -> Iterable[Sample]:
    """The metrics that an instance tells now; none when it does not answer."""
    try:
        url = f"http://127.0.0.1:{process.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            text = answer.read().decode()
    except OSError:
        return
    for family in text_string_to_metric_families(text):
        yield from family.samples


def _providers_of(state: State) -> list[Provider]:
    hosts = state.details.get("zookeeper")
    try:
        return providers(hosts) if hosts else []
    except NoZooKeeper:
        return []


def _children(client: KazooClient, path: str) -> Sequence[str]:
    try:
        return client.get_children(path) or []
    except NoNodeError:
        return []


def _shown(process: ProcessState) -> ProcessShown:
    return ProcessShown(
        name=process.name,
        pid=process.pid,
        port=process.port,
        state="running" if process.running else "restarting",
        memory_mb=memory_bytes(process.pid) >> 20,
        uptime_seconds=int((now() - datetime.fromisoformat(process.start_time)).total_seconds()),
        restarts=process.restarts,
    )


def memory_bytes(pid: int) -> int:
    """The memory of a process and of those it started; what several share is counted once."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in tree:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # ended meanwhile, or may not be looked into
            continue
    return total
