import asyncio
import signal
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.alert.v1.alert_service_pb2 import GetAlertRequest, WatchAlertsRequest
from banyan.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from banyan.alert.v1.stream_end_pb2 import StreamEnd
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from chassis.caller import Role
from chassis.testing import SignedIn
from tests.chassis.processes import serving
from tests.chassis.scripted import Script, running

WATCHED = "banyan.alert.v1.AlertService"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def signed_in(home: Path) -> SignedIn:
    return SignedIn(home / "keys")


async def test_a_stop_loses_no_call(home: Path, signed_in: SignedIn):
    metadata = signed_in.staff(Role.MANAGER)
    async with serving(home, drain_seconds=0.5) as process:
        alerts: Any = AlertServiceStub(process.channel)
        health: Any = HealthStub(process.channel)
        stream = alerts.WatchAlerts(WatchAlertsRequest(), metadata=metadata)
        watch = health.Watch(HealthCheckRequest(service=WATCHED))
        assert await stream.read()
        assert (await watch.read()).status == SERVING
        slow = asyncio.ensure_future(alerts.GetAlert(GetAlertRequest(name="alerts/slow"), metadata=metadata))
        await process.until("slow call begun")
        process.process.send_signal(signal.SIGTERM)
        assert (await watch.read()).status == NOT_SERVING
        # It left, but goes on serving those who have not heard of it yet.
        assert await alerts.GetAlert(GetAlertRequest(name="alerts/1"), metadata=metadata)
        assert (await stream.read()).end.reason == StreamEnd.REASON_DRAINING
        assert await stream.read() is grpc.aio.EOF
        assert (await slow).name == "alerts/slow"
        log = await process.end()
    assert process.events == [
        *("registered", "slow call begun", "unregistered", "stream ended", "slow call done"),
        *("job cancelled", "closed first", "closed second", "served"),
    ]
    assert process.process.returncode == 0
    failed = [line["step"] for line in log if line["event"] == "stop_failed"]
    assert [step.rpartition(".")[2] for step in failed] == ["unregister", "first_close"]


async def test_ctrl_c_stops_in_the_same_order_without_waiting_for_others(home: Path):
    async with serving(home, drain_seconds=60) as process:
        process.process.send_signal(signal.SIGINT)
        await process.end()
    assert process.events == [
        *("registered", "unregistered", "job cancelled", "closed first", "closed second", "served")
    ]
    assert process.process.returncode == 0


async def test_what_is_registered_is_what_is_served(home: Path):
    async with serving(home, advertise_host="10.9.8.7", drain_seconds=0) as process:
        registered = process.told[0]
        assert registered["host"] == "10.9.8.7"
        assert [WATCHED, ["GetAlert", "ListAlerts", "WatchAlerts"]] in registered["services"]
        assert len(registered["services"]) == 3


async def test_a_process_asks_for_its_port_again(home: Path):
    ports: set[int] = set()
    for _ in range(2):
        async with serving(home, drain_seconds=0) as process:
            ports.add(process.told[0]["port"])
            assert (home / "port").read_text() == f"{process.told[0]['port']}\n"
            process.process.send_signal(signal.SIGTERM)
            await process.end()
    assert len(ports) == 1


async def test_an_instance_without_its_port_takes_another(signed_in: SignedIn, tmp_path: Path):
    async with running(Script(), signed_in, tmp_path):
        first = int((tmp_path / "port").read_text())
        async with running(Script(), signed_in, tmp_path) as client:
            assert int((tmp_path / "port").read_text()) != first
            assert await client.call("unary")


async def test_readiness_is_told_by_health_and_no_call_is_refused(home: Path, signed_in: SignedIn):
    async with serving(home, drain_seconds=0) as process:
        health: Any = HealthStub(process.channel)
        alerts: Any = AlertServiceStub(process.channel)
        watch = health.Watch(HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        (home / "not_ready").touch()
        assert (await watch.read()).status == NOT_SERVING
        assert await alerts.GetAlert(GetAlertRequest(name="alerts/1"), metadata=signed_in.staff(Role.MANAGER))
        (home / "not_ready").unlink()
        assert (await watch.read()).status == SERVING


async def test_a_process_tells_its_metrics_and_logs_faults_with_their_request(home: Path, signed_in: SignedIn):
    metadata = (*signed_in.staff(Role.MANAGER, staff_id="s7"), ("x-request-id", "r-7"))
    async with serving(home, drain_seconds=0) as process:
        alerts: Any = AlertServiceStub(process.channel)
        await alerts.GetAlert(GetAlertRequest(name="alerts/1"), metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError):
            await alerts.GetAlert(GetAlertRequest(name="alerts/broken"), metadata=metadata)
        url = f"http://127.0.0.1:{int((home / 'metrics_port').read_text())}/metrics"
        metrics = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
        process.process.send_signal(signal.SIGTERM)
        log = await process.end()
    path = f"/{WATCHED}/GetAlert"
    assert f'rpc_seconds_count{{code="OK",method="{path}"}} 1.0' in metrics
    assert f'rpc_seconds_count{{code="INTERNAL",method="{path}"}} 1.0' in metrics
    assert 'rpcs_in_flight{kind="call"} 0.0' in metrics
    assert "process_resident_memory_bytes" in metrics
    [failed] = [line for line in log if line["event"] == "failed"]
    assert (failed["method"], failed["request_id"], failed["caller"]) == (path, "r-7", "s7")
    assert (failed["application"], failed["level"]) == ("test_svc", "error")
    assert "RuntimeError: our fault" in failed["exception"]


async def test_reflection_names_what_is_served(signed_in: SignedIn, tmp_path: Path):
    async with running(Script(), signed_in, tmp_path) as client:
        names = await reflected(client.channel)
    assert {WATCHED, "banyan.assignment.v1.ImportService", "grpc.health.v1.Health"} <= names


async def reflected(channel: grpc.aio.Channel) -> set[str]:
    stub: Any = ServerReflectionStub(channel)  # pyright: ignore[reportArgumentType] -- the stub's stub knows no aio
    call = stub.ServerReflectionInfo()
    await call.write(ServerReflectionRequest(list_services="*"))
    answer = await call.read()
    await call.done_writing()
    return {service.name for service in answer.list_services_response.service}


async def test_12_seconds_of_pings_on_an_idle_connection_are_no_abuse(signed_in: SignedIn, tmp_path: Path):
    options = [
        ("grpc.keepalive_time_ms", 1_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    strict = grpc.aio.server()  # gRPC's own policy, to show that these pings would be abuse
    strict_port = strict.add_insecure_port("127.0.0.1:0")
    await strict.start()
    async with running(Script(), signed_in, tmp_path):
        port = int((tmp_path / "port").read_text())
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel,
            grpc.aio.insecure_channel(f"127.0.0.1:{strict_port}", options=options) as refused,
        ):
            await asyncio.gather(channel.channel_ready(), refused.channel_ready())
            lost = asyncio.ensure_future(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
            refused_lost = asyncio.ensure_future(refused.wait_for_state_change(grpc.ChannelConnectivity.READY))
            done, _ = await asyncio.wait({lost}, timeout=12)
            assert not done
            assert refused_lost.done()
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)
    await strict.stop(0)
