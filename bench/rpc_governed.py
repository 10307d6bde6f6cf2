"""What governance costs: a call over xDS with token and the whole chain, against bare grpc.aio, same messages."""

from statistics import median

from bench import servers
from bench.results import Result
from chassis.testing import SignedIn
from devstack import zookeeper
from devstack.home import Home
from devstack.process import Spec

ROUNDS = 3
SECONDS = 4.0


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Result]:
    """Calls per second of 16 callers in one process to one instance in another."""
    with servers.home() as home, servers.running([zookeeper.spec(home, durable=False)], home) as (keeper,):
        SignedIn(home.root / "keys")
        hosts = zookeeper.hosts(keeper.spec.port)
        bare, governed = (server(home, role, hosts) for role in ("serve-bare", "serve-governed"))
        with servers.running([bare, governed], home):
            pairs = [
                (_rate(home, "call-bare", bare, hosts, seconds), _rate(home, "call", governed, hosts, seconds))
                for _ in range(rounds)
            ]
    limit, value = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    ratio = median(governed / bare for bare, governed in pairs)
    return [Result("rpc_governed", value, "calls/s", limit, ratio, "≥ 0.7 of bare grpc.aio")]


def server(home: Home, role: str, hosts: str) -> Spec:
    """An echo service as a process of its own."""
    port = home.port(role)
    return servers.serving(home, role, port, "bench.echo", role, home.short, hosts, port)


def _rate(home: Home, role: str, called: Spec, hosts: str, seconds: float) -> float:
    return float(servers.output_of("bench.echo", role, home.short, hosts, called.port, seconds))
