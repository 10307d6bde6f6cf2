import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import grpc
import pytest
from banyan.assignment.v1 import org_service_pb2_grpc, session_service_pb2_grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from chassis.discovery import Discovery, Snapshot
from chassis.provider import Provider
from chassis.xds import XdsServer
from chassis.xds_resources import CLUSTER, ENDPOINTS, LISTENER, cluster, endpoints, listener
from devstack.home import Home

assert org_service_pb2_grpc  # what may be repeated is read from its descriptors
assert session_service_pb2_grpc
ORG = "banyan.assignment.v1.OrgService"
SESSION = "banyan.assignment.v1.SessionService"
EMPTY: dict[str, tuple[Provider, ...]] = {ORG: (), SESSION: ()}


class Known:
    """Stands for discovery: what it knows is set by the test."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._callbacks: list[Callable[[Snapshot], None]] = []

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def know(self, providers: dict[str, tuple[Provider, ...]]) -> None:
        self.snapshot = Snapshot(MappingProxyType(providers))
        for callback in self._callbacks:
            callback(self.snapshot)


class Client:
    """One ADS stream."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def ask(self, type_url: str, *names: str, nonce: str = "") -> None:
        request = cast("Any", discovery_pb2).DiscoveryRequest(
            type_url=type_url, resource_names=names, response_nonce=nonce
        )
        await self._call.write(request)

    async def answer(self, within_seconds: float = 2.0) -> Any:
        return await asyncio.wait_for(self._call.read(), within_seconds)

    async def is_silent(self) -> bool:
        reading = asyncio.ensure_future(self._call.read())
        done, _ = await asyncio.wait({reading}, timeout=0.3)
        if not done:
            self._call.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return not done


@pytest.fixture
def known() -> Known:
    return Known()


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect(known: Known, session_home: Home) -> AsyncIterator[Connect]:
    path = session_home.root / "ads.sock"
    server = XdsServer(cast("Discovery", known), path, {SESSION: "x-session"}, for_envoy=True)
    await server.start()
    channel = grpc.aio.insecure_channel(f"unix:{path}")

    async def connect() -> Client:
        return Client(cast("Any", ads_pb2_grpc).AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources())

    yield connect
    await channel.close()
    await server.stop()


def named(answer: Any) -> list[bytes]:
    return [resource.value for resource in answer.resources]


async def test_nothing_is_sent_before_the_first_snapshot(connect: Connect, known: Known):
    client = await connect()
    await client.ask(LISTENER, ORG)
    await asyncio.sleep(0.3)
    known.know(EMPTY)
    answer = await client.answer()
    assert answer.type_url == LISTENER
    assert named(answer) == [listener(ORG).value]


async def test_silence_lasts_without_a_snapshot(connect: Connect):
    client = await connect()
    await client.ask(CLUSTER, ORG)
    assert await client.is_silent()


async def test_a_known_service_without_providers_has_an_empty_list_at_once(connect: Connect, known: Known):
    known.know(EMPTY)
    client = await connect()
    await client.ask(ENDPOINTS, ORG)
    assert named(await client.answer()) == [endpoints(ORG, ()).value]


async def test_each_answer_carries_all_that_its_stream_asked_for(connect: Connect, known: Known):
    known.know(EMPTY)
    client = await connect()
    await client.ask(CLUSTER, ORG)
    first = await client.answer()
    assert named(first) == [cluster(ORG, for_envoy=True).value]
    await client.ask(CLUSTER, ORG, SESSION, nonce=first.nonce)
    assert named(await client.answer()) == [
        cluster(ORG, for_envoy=True).value,
        cluster(SESSION, "x-session", for_envoy=True).value,
    ]


async def test_an_acknowledgement_gets_no_answer(connect: Connect, known: Known):
    known.know(EMPTY)
    client = await connect()
    await client.ask(CLUSTER, ORG)
    first = await client.answer()
    await client.ask(CLUSTER, ORG, nonce=first.nonce)
    assert await client.is_silent()


async def test_a_change_is_pushed_and_only_where_something_changed(connect: Connect, known: Known):
    known.know(EMPTY)
    client = await connect()
    for type_url in (LISTENER, CLUSTER, ENDPOINTS):
        await client.ask(type_url, ORG)
        await client.answer()
    one = Provider(ORG, "10.0.0.1", 1)
    known.know({ORG: (one,), SESSION: (Provider(SESSION, "10.0.0.2", 2),)})
    answer = await client.answer()
    assert answer.type_url == ENDPOINTS
    assert named(answer) == [endpoints(ORG, [one]).value]
    assert await client.is_silent()


@pytest.mark.parametrize("names", [(), ("*",)])
async def test_a_wildcard_asks_for_every_cluster(connect: Connect, known: Known, names: tuple[str, ...]):
    known.know(EMPTY)
    client = await connect()
    await client.ask(CLUSTER, *names)
    assert len((await client.answer()).resources) == 2


async def test_a_socket_path_that_the_system_would_cut_is_refused(known: Known):
    with pytest.raises(ValueError, match="longer than 107 bytes"):
        await XdsServer(cast("Discovery", known), Path("/tmp") / ("x" * 110)).start()


def unpacked(resource: Any, module: str, name: str) -> Any:
    imported = __import__(module, fromlist=[name])
    message = getattr(imported, name)()
    assert resource.Unpack(message)
    return message


def routes_of(service: str, hash_header: str = "") -> Any:
    found = unpacked(listener(service, hash_header), "envoy.config.listener.v3.listener_pb2", "Listener")
    manager = unpacked(
        found.api_listener.api_listener,
        "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
        "HttpConnectionManager",
    )
    return manager.route_config.virtual_hosts[0].routes


def test_only_what_may_be_repeated_is_retried():
    routes = {route.match.path or "*": route.route for route in routes_of(SESSION)}
    assert not routes["*"].HasField("retry_policy")
    assert f"/{SESSION}/CreateSession" not in routes
    retried = next(route.route for route in routes_of(ORG) if route.match.path == f"/{ORG}/GetBranch")
    assert retried.retry_policy.retry_on == "unavailable"
    assert retried.retry_policy.num_retries.value == 2
    assert retried.retry_policy.retry_back_off.base_interval.ToMilliseconds() == 25
    assert retried.retry_policy.retry_back_off.max_interval.ToMilliseconds() == 250


def test_a_service_whose_contract_is_not_loaded_is_routed_without_retries():
    [route] = routes_of("some.foreign.Service")
    assert route.route.cluster == "some.foreign.Service"
    assert not route.route.HasField("retry_policy")


def test_a_hash_header_makes_a_ring():
    assert all(route.route.hash_policy[0].header.header_name == "x-customer" for route in routes_of(ORG, "x-customer"))
    found = unpacked(cluster(ORG, "x-customer"), "envoy.config.cluster.v3.cluster_pb2", "Cluster")
    assert found.lb_policy == found.RING_HASH


def test_one_locality_per_instance_carries_its_weight():
    def weights(*given: int) -> dict[int, int]:
        providers = [Provider(ORG, "10.0.0.1", port, weight=weight) for port, weight in enumerate(given, 1)]
        found = unpacked(endpoints(ORG, providers), "envoy.config.endpoint.v3.endpoint_pb2", "ClusterLoadAssignment")
        return {
            locality.lb_endpoints[0].endpoint.address.socket_address.port_value: locality.load_balancing_weight.value
            for locality in found.endpoints
        }

    assert weights(1, 9) == {1: 1, 2: 9}
    assert weights(0, 9) == {2: 9}
    assert weights(0, 0) == {1: 1, 2: 1}
