"""What governance costs: a call over xDS with token and the whole chain, against bare grpc.aio, same messages."""

import socket
import sys
from functools import partial
from statistics import median

from bench import servers
from bench.results import Result
from chassis.testing import SignedIn
from devstack import zookeeper
from devstack.home import Home
from devstack.process import Spec

ROUNDS = 3


def measure() -> list[Result]:
    with servers.home() as home, servers.running([zookeeper.spec(home, durable=False)], home) as (keeper,):
        SignedIn(home.root / "keys")
        hosts = zookeeper.hosts(keeper.spec.port)
        bare, governed = (_server(home, role, hosts) for role in ("serve-bare", "serve-governed"))
        with servers.running([bare, governed], home):
            pairs = [
                (_rate(home, "call-bare", hosts, bare), _rate(home, "call", hosts, governed)) for _ in range(ROUNDS)
            ]
    limit, value = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    ratio = median(governed / bare for bare, governed in pairs)
    return [Result("rpc_governed", value, "calls/s", limit, ratio, "≥ 0.7 of bare grpc.aio")]


def _server(home: Home, role: str, hosts: str) -> Spec:
    port = home.port(role)
    command = [sys.executable, "-P", "-m", "bench.echo", role, str(home.short), hosts, str(port)]
    return Spec(role, command, home.short, ready=partial(_listens, port), port=port)


def _rate(home: Home, role: str, hosts: str, server: Spec) -> float:
    printed = servers.output_of("bench.echo", role, home.short, hosts, server.port)
    return float(printed.splitlines()[-1])  # what comes before are log lines


def _listens(port: int, _pid: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
