"""What governance costs: a call over xDS with token and the whole chain, against bare grpc.aio, same messages.

The rate depends on who else uses the machine; the CPU of caller and server for a call does so much less.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench import servers
from bench.results import Result
from chassis.testing import SignedIn
from devstack import zookeeper
from devstack.home import Home
from devstack.process import Child, Spec

ROUNDS = 5
SECONDS = 3.0


@dataclass(frozen=True)
class _Cost:
    """Of one round of one kind of calls: calls per second, and CPU µs per call on both sides together."""

    rate: float
    cpu: float


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Result]:
    """Calls of 16 callers in one process to one instance in another."""
    with servers.home() as home, servers.running([zookeeper.spec(home, durable=False)], home) as (keeper,):
        SignedIn(home.root / "keys")
        hosts = zookeeper.hosts(keeper.spec.port)
        specs = [server(home, role, hosts) for role in ("serve-bare", "serve-governed")]
        with servers.running(specs, home) as (bare, governed):
            pairs = [
                (_cost(home, "call-bare", bare, hosts, seconds), _cost(home, "call", governed, hosts, seconds))
                for _ in range(rounds)
            ]

    def medians(ratio: Callable[[_Cost, _Cost], float], figure: Callable[[_Cost], float]) -> tuple[float, float, float]:
        value, limit = (median(figure(pair[side]) for pair in pairs) for side in (1, 0))
        return value, limit, median(ratio(*pair) for pair in pairs)

    rate, bare_rate, rate_ratio = medians(lambda bare, governed: governed.rate / bare.rate, lambda cost: cost.rate)
    cpu, bare_cpu, cpu_ratio = medians(lambda bare, governed: bare.cpu / governed.cpu, lambda cost: cost.cpu)
    return [
        Result("rpc_governed", rate, "calls/s", bare_rate, rate_ratio, "≥ 0.7 of bare grpc.aio"),
        Result("rpc_governed.cpu", cpu, "µs/call", bare_cpu, cpu_ratio, "both sides; ratio: bare by governed"),
    ]


def server(home: Home, role: str, hosts: str) -> Spec:
    """An echo service as a process of its own."""
    port = home.port(role)
    return servers.serving(home, role, port, "bench.echo", role, home.short, hosts, port)


def _cost(home: Home, role: str, called: Child, hosts: str, seconds: float) -> _Cost:
    before = servers.cpu_seconds(called)
    load = json.loads(servers.output_of("bench.echo", role, home.short, hosts, called.spec.port, seconds))
    served = servers.cpu_seconds(called) - before
    return _Cost(load["rate"], (load["cpu"] + served) / load["calls"] * 1e6)
