import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from banyan.assignment.v1 import branch_pb2, org_service_pb2, org_service_pb2_grpc

from chassis.caller import Caller, Role, calling
from chassis.channel import Channels, GovernedChannel, Mesh, call_deadline, mesh, timeout_seconds
from chassis.settings import ServiceSettings
from devstack.home import Home
from devstack.testing import ZooKeeperServer

SERVICE = "banyan.assignment.v1.OrgService"
CALLERS = 16
Eventually = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("provider_process.py")


@dataclass
class ProviderProcess:
    """A provider of OrgService that answers GetBranch with its port."""

    process: asyncio.subprocess.Process
    port: str

    def hang(self) -> None:
        """Takes calls and never answers them."""
        self.process.send_signal(signal.SIGUSR1)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()


Provide = Callable[..., Awaitable[ProviderProcess]]
Pair = Sequence[ProviderProcess]


@dataclass
class Traffic:
    """Callers that never rest, and what became of their calls."""

    stub: Any
    timeout: float | None = None
    answered: Counter[str] = field(default_factory=Counter[str])
    failures: list[grpc.aio.AioRpcError] = field(default_factory=list[grpc.aio.AioRpcError])
    longest_seconds: float = 0.0

    async def __aenter__(self) -> Self:
        self._over = False
        self._callers = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._callers)

    async def _call(self) -> None:
        while not self._over:
            start = time.monotonic()
            try:
                self.answered[await port_that_answers(self.stub, self.timeout)] += 1
            except grpc.aio.AioRpcError as error:
                self.failures.append(error)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - start)


async def port_that_answers(stub: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 (gRPC's own deadline)
    branch = await stub.GetBranch(org_service_pb2.GetBranchRequest(name="branches/1"), timeout=timeout)
    return branch.display_name


@pytest.fixture(scope="module")
def own_zookeeper(session_home: Home) -> Iterator[ZooKeeperServer]:
    server = ZooKeeperServer(session_home)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def net(own_zookeeper: ZooKeeperServer, session_home: Home) -> AsyncIterator[Mesh]:
    """One for all tests here: gRPC keeps its xDS client for a while, as a process keeps its mesh."""
    settings = ServiceSettings(
        home=session_home.root / "net",
        keys=Path("unused"),
        database_url="unused",
        zookeeper=own_zookeeper.hosts,
        session_timeout_seconds=2,
    )
    net = await mesh(settings, "test_svc", [SERVICE], None)
    yield net
    await net.close()


@pytest.fixture
def stub(net: Mesh) -> Any:
    return org_service_pb2_grpc.OrgServiceStub(net.channel(SERVICE))


def addresses(net: Mesh) -> list[str]:
    assert net.discovery.snapshot is not None
    return [provider.address for provider in net.discovery.snapshot.providers[SERVICE]]


@pytest.fixture
async def provide(net: Mesh, own_zookeeper: ZooKeeperServer, eventually: Eventually) -> AsyncIterator[Provide]:
    """Starts providers in processes of their own; afterwards none is left, in ZooKeeper neither."""
    started: list[ProviderProcess] = []

    async def start(*, weight: int = 100) -> ProviderProcess:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(PROGRAM), own_zookeeper.hosts, "2", str(weight)),
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async for line in process.stdout:
            if line.strip().isdigit():  # the rest is its log
                started.append(ProviderProcess(process, line.decode().strip()))
                return started[-1]
        pytest.fail("the provider ended before it served")

    yield start
    await asyncio.gather(*(provider.end(signal.SIGKILL) for provider in started))
    await eventually(lambda: addresses(net) == [], within_seconds=20)


@pytest.fixture
async def pair(provide: Provide, stub: Any) -> Pair:
    """Two providers that both get calls."""
    providers = await asyncio.gather(provide(), provide())
    await calls_reach(stub, {provider.port for provider in providers})
    return providers


async def calls_reach(stub: Any, ports: set[str]) -> None:
    seen: set[str] = set()
    async with asyncio.timeout(10):
        while seen != ports:
            with suppress(grpc.aio.AioRpcError):
                seen.add(await port_that_answers(stub))
            await asyncio.sleep(0.01)


async def test_no_call_fails_when_one_of_two_is_killed(pair: Pair, stub: Any):
    async with Traffic(stub) as traffic:
        await asyncio.sleep(0.5)
        await pair[0].end(signal.SIGKILL)
        await asyncio.sleep(2)
    assert traffic.failures == []
    assert set(traffic.answered) == {provider.port for provider in pair}
    assert traffic.longest_seconds < 2


async def test_no_call_fails_when_one_of_two_leaves(pair: Pair, stub: Any):
    async with Traffic(stub) as traffic:
        await asyncio.sleep(0.3)
        await pair[0].end(signal.SIGTERM)
        await asyncio.sleep(0.3)
    assert traffic.failures == []


async def test_calls_leave_a_frozen_process_within_its_keepalive(pair: Pair, stub: Any):
    async with Traffic(stub) as traffic:
        await asyncio.sleep(0.3)
        pair[0].freeze()
        await asyncio.sleep(4)
    assert traffic.failures == []
    assert 0.5 < traffic.longest_seconds < 3.5


async def test_an_instance_that_takes_calls_and_never_answers_is_ejected(pair: Pair, stub: Any):
    async with Traffic(stub, timeout=0.5) as traffic:
        pair[0].hang()
        await asyncio.sleep(3)
        failed_so_far = len(traffic.failures)
        answered_so_far = traffic.answered.total()
        await asyncio.sleep(2)
    assert 0 < failed_so_far <= CALLERS * 5
    assert {failure.code() for failure in traffic.failures} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert len(traffic.failures) == failed_so_far, "an ejected instance got calls"
    assert traffic.answered.total() - answered_so_far > 200


async def test_calls_follow_the_weights(provide: Provide, stub: Any):
    light, heavy = await asyncio.gather(provide(weight=1), provide(weight=9))
    await calls_reach(stub, {light.port, heavy.port})
    answered = Counter([await port_that_answers(stub) for _ in range(2000)])
    assert answered.total() == answered[light.port] + answered[heavy.port]
    assert abs(answered[light.port] - 200) < 60  # gRPC draws by weight: 4.5 deviations


async def test_no_call_fails_while_the_ads_server_is_gone(pair: Pair, net: Mesh, stub: Any):
    async with Traffic(stub) as traffic:
        await net.xds.stop()
        await asyncio.sleep(2)
        await net.xds.start()
        await asyncio.sleep(1)
    assert traffic.failures == []
    assert set(traffic.answered) == {provider.port for provider in pair}


@pytest.mark.usefixtures("pair")
async def test_no_call_fails_while_zookeeper_is_gone_and_after_it_returned_empty(
    net: Mesh, stub: Any, own_zookeeper: ZooKeeperServer, eventually: Eventually
):
    before = addresses(net)
    async with Traffic(stub) as traffic:
        await asyncio.to_thread(own_zookeeper.empty)
        await asyncio.sleep(5)
        await asyncio.to_thread(own_zookeeper.start)
        await eventually(lambda: net.zookeeper.connected, within_seconds=30)
        folder = f"/dubbo/{SERVICE}/providers"
        async with asyncio.timeout(20):
            while len(await net.zookeeper.children(folder)) < 2:  # noqa: ASYNC110 (ZooKeeper is asked)
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
    assert traffic.failures == []
    assert addresses(net) == before


async def test_without_providers_a_call_fails_at_once_and_works_when_one_comes(provide: Provide, stub: Any):
    start = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await port_that_answers(stub)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - start < 2
    provider = await provide()
    async with asyncio.timeout(5):
        await calls_reach(stub, {provider.port})


@pytest.mark.parametrize(
    ("asked", "left", "unary", "allowed"),
    [
        pytest.param(None, None, True, 5, id="5 s when nobody says"),
        pytest.param(2, None, True, 2, id="as asked"),
        pytest.param(None, 3, True, 3, id="no longer than the call that is served"),
        pytest.param(2, 3, True, 2, id="shorter than what is left"),
        pytest.param(None, -1, True, 0.001, id="nothing is left"),
        pytest.param(None, None, False, None, id="a watch has no end"),
        pytest.param(None, 3, False, 3, id="a watch ends with the call that is served"),
    ],
)
def test_a_call_never_outlives_the_call_it_serves(
    asked: float | None, left: float | None, *, unary: bool, allowed: float | None
):
    before = call_deadline.set(None if left is None else time.monotonic() + left)
    try:
        assert timeout_seconds(asked, unary=unary) == pytest.approx(allowed, abs=0.1 if allowed != 0.001 else 0)
    finally:
        call_deadline.reset(before)


class Mirror(org_service_pb2_grpc.OrgServiceServicer):
    """Answers with the metadata it was called with."""

    async def GetBranch(self, _request: object, context: grpc.aio.ServicerContext[Any, Any]) -> branch_pb2.Branch:
        given = dict(context.invocation_metadata() or ())
        return branch_pb2.Branch(display_name=f"{given.get('authorization')}|{given.get('x-request-id')}")


@pytest.fixture
async def mirror() -> AsyncIterator[Any]:
    server = grpc.aio.server()
    org_service_pb2_grpc.add_OrgServiceServicer_to_server(Mirror(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with GovernedChannel(grpc.aio.insecure_channel(f"127.0.0.1:{port}"), lambda: "own") as channel:
        yield org_service_pb2_grpc.OrgServiceStub(channel)
    await server.stop(None)


async def seen(stub: Any, **options: Any) -> list[str]:
    request = org_service_pb2.GetBranchRequest(name="branches/1")
    return (await stub.GetBranch(request, **options)).display_name.split("|")


async def test_the_callers_token_and_request_id_are_handed_on(mirror: Any):
    staff = Caller("s1", "b1", frozenset({Role.MANAGER}), "x", "banyan/assignment_svc", datetime.now(UTC), "theirs")
    with calling(staff, "request-7"):
        assert await seen(mirror) == ["Bearer theirs", "request-7"]


async def test_without_a_caller_the_services_own_token_and_a_new_id_are_sent(mirror: Any):
    token, request_id = await seen(mirror)
    assert token == "Bearer own"
    assert len(request_id) == 32
    assert (await seen(mirror))[1] != request_id


async def test_what_the_code_says_itself_is_sent(mirror: Any):
    assert await seen(mirror, metadata=(("authorization", "Bearer x"), ("x-request-id", "y"))) == ["Bearer x", "y"]


async def test_the_bootstrap_names_the_socket(tmp_path: Path):
    channels = Channels(tmp_path / "xds.sock", lambda: None)
    channels.open([])
    assert f"unix:{tmp_path}/xds.sock" in os.environ["GRPC_XDS_BOOTSTRAP_CONFIG"]
    await channels.close()
