import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from chassis.health import Health
from chassis.testing import SignedIn
from tests.chassis.scripted import Client, Script, failure_of, running

SERVICE = "banyan.alert.v1.AlertService"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running(Script(), SignedIn(tmp_path / "keys"), tmp_path, calls_max=1, streams_max=1) as client:
        yield client


def stub_of(client: Client) -> Any:
    return HealthStub(client.channel)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_the_process_and_each_service_tell_their_health_to_anybody(service: str, client: Client):
    health = stub_of(client)
    assert (await health.Check(HealthCheckRequest(service=service))).status == HealthCheckResponse.SERVING
    client.instance.health.leave()
    assert (await health.Check(HealthCheckRequest(service=service))).status == HealthCheckResponse.NOT_SERVING


async def test_an_unknown_service_is_not_found_but_may_be_watched(client: Client):
    health = stub_of(client)
    assert (await failure_of(health.Check(HealthCheckRequest(service="x")))).code is grpc.StatusCode.NOT_FOUND
    watch = health.Watch(HealthCheckRequest(service="x"))
    assert (await watch.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


async def test_health_is_told_when_there_is_no_room_for_calls(client: Client):
    client.instance.limits.calls = client.instance.limits.streams = 1
    assert (await failure_of(client.call("unary"))).code is grpc.StatusCode.UNAVAILABLE
    assert (await stub_of(client).Check(HealthCheckRequest())).status == HealthCheckResponse.SERVING
    client.instance.limits.calls = client.instance.limits.streams = 0


async def test_a_watch_tells_each_change_once_and_ends_with_the_server(client: Client):
    watch = stub_of(client).Watch(HealthCheckRequest())
    assert (await watch.read()).status == HealthCheckResponse.SERVING
    client.instance.health.tell(serving=True)
    client.instance.health.tell(serving=False)
    assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
    client.instance.health.tell(serving=True)
    assert (await watch.read()).status == HealthCheckResponse.SERVING
    client.instance.streams.drain()
    async with asyncio.timeout(5):
        assert (await failure_of(watch.read())).code is grpc.StatusCode.UNAVAILABLE


async def test_a_process_serves_nobody_before_it_says_so_and_after_it_left():
    health = Health([SERVICE])
    asked = HealthCheckRequest(service=SERVICE)
    assert (await health.Check(asked, None)).status == HealthCheckResponse.NOT_SERVING
    health.tell(serving=True)
    assert (await health.Check(asked, None)).status == HealthCheckResponse.SERVING
    health.leave()
    health.tell(serving=True)
    assert (await health.Check(asked, None)).status == HealthCheckResponse.NOT_SERVING
