"""What the gateway costs: CPU of Envoy and its parent for a REST call with a token, and the time that it adds.

The CPU is set against what a direct governed call costs its caller's process, since that is the other way to ask a
service. Time is added to the same call over the same kind of client, one call at a time.
"""

import http.client
import json
from collections.abc import Callable
from functools import partial
from statistics import median

from bench import servers
from bench.edge import staff_token
from bench.results import Result
from bench.rpc_governed import server
from chassis.testing import SignedIn
from devstack import zookeeper
from devstack.home import Home
from devstack.process import Child, Spec

ROUNDS = 3
CALLS = 10_000
SINGLE_CALLS = 1_000


def measure(rounds: int = ROUNDS, calls: int = CALLS, single_calls: int = SINGLE_CALLS) -> list[Result]:
    """CPU µs per request, and added milliseconds at low load over gRPC and over REST."""
    with servers.home() as home, servers.running([zookeeper.spec(home, durable=False)], home) as (keeper,):
        SignedIn(home.root / "keys")
        hosts = zookeeper.hosts(keeper.spec.port)
        with (
            servers.running([server(home, "serve-governed", hosts)], home),
            servers.running([_gateway(home, hosts)], home) as (gateway,),
        ):
            ask: Callable[[str, int], str] = lambda role, count: servers.output_of(  # noqa: E731 - four equal calls
                "bench.edge", role, home.short, hosts, gateway.spec.port, count
            )
            ask("rest", calls // 10)
            pairs = [(float(ask("direct", calls)), _cpu(gateway, partial(ask, "rest", calls))) for _ in range(rounds)]
            medians: dict[str, float] = json.loads(ask("latencies", single_calls))
    limit, value = (median(pair[side] for pair in pairs) * 1e6 for side in (0, 1))
    ratio = median(through / direct for direct, through in pairs)
    direct_ms = medians["direct"] * 1e3
    return [
        Result("gateway_cpu", value, "µs/request", limit, ratio, "limit: CPU of a direct call's caller"),
        _added("gateway_cpu.added_grpc", medians["grpc"] * 1e3 - direct_ms, direct_ms),
        _added("gateway_cpu.added_rest", medians["rest"] * 1e3 - direct_ms, direct_ms),
    ]


def _added(name: str, added_ms: float, direct_ms: float) -> Result:
    return Result(name, added_ms, "ms", direct_ms, added_ms / direct_ms, "≤ 1 ms more than a direct call (limit)")


def _cpu(gateway: Child, ask: Callable[[], str]) -> float:
    """CPU seconds that the gateway's processes spend on each request."""
    before = servers.cpu_seconds(gateway)
    count = int(ask())
    return (servers.cpu_seconds(gateway) - before) / count


def _gateway(home: Home, hosts: str) -> Spec:
    port = home.port("gateway")
    told = {"HOME": home.short / "gateway", "PORT": port, "ZOOKEEPER": hosts, "DRAIN_SECONDS": 0}
    told |= {"REQUESTS_PER_SECOND": 1_000_000, "METRICS_PORT": home.port("gateway-metrics")}
    environment = {f"BANYAN_GATEWAY_{name}": str(value) for name, value in told.items()}
    ready = partial(_answers, port, staff_token(home.root))
    command = servers.serving(home, "gateway", port, "gateway").command
    return Spec("gateway", command, home.short, ready=ready, environment=environment, port=port)


def _answers(port: int, token: str, _pid: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v1/products/p1", headers={"authorization": token})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
