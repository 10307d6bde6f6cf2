import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.alert.v1.alert_pb2 import Alert
from banyan.alert.v1.alert_service_pb2 import GetAlertRequest

from chassis import clock
from chassis.caller import Role, current_request_id
from chassis.channel import call_deadline
from chassis.errors import CODE_OF, Kind, Refused, Violation
from chassis.testing import SignedIn, app_of
from tests.chassis.scripted import (
    ALLOWED,
    KINDS,
    Client,
    Script,
    failure_of,
    nothing,
    running,
    served,
)

SECRET = "password=correct-horse"


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script, signed_in: SignedIn, tmp_path: Path) -> AsyncIterator[Client]:
    async with running(script, signed_in, tmp_path) as client:
        yield client


def raising(error: BaseException):
    async def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("call", KINDS)
async def test_a_call_that_goes_well_reaches_its_handler(call: str, script: Script, client: Client):
    answers = await client.call(call)
    assert len(answers) == 1
    assert [caller and caller.staff_id for caller in script.callers] == ["staff-1"]


@pytest.mark.parametrize("call", KINDS)
@pytest.mark.parametrize("kind", list(Kind))
async def test_every_refusal_has_its_code_and_the_one_shape(kind: Kind, call: str, script: Script, client: Client):
    violations = [Violation("rows[17].branch_id", "is unknown"), Violation("name", "is odd")]
    script.first = raising(Refused(kind, "SOME_REASON", "no, thank you", {"branch": "b7"}, violations))
    failure = await failure_of(client.call(call))
    assert failure.code is CODE_OF[kind]
    assert failure.message == "no, thank you"
    assert (failure.info.reason, failure.info.domain) == ("SOME_REASON", "test.banyan")
    assert dict(failure.info.metadata) == {"branch": "b7"}
    assert failure.violations == [("rows[17].branch_id", "is unknown"), ("name", "is odd")]


@pytest.mark.parametrize("call", KINDS)
@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), ValueError(SECRET), TimeoutError(SECRET), AssertionError(SECRET)]
)
async def test_our_own_fault_tells_the_caller_nothing(
    error: Exception, call: str, script: Script, client: Client, caplog: pytest.LogCaptureFixture
):
    script.first = raising(error)
    with caplog.at_level(logging.ERROR):
        failure = await failure_of(client.call(call, metadata=(*client.metadata, ("x-request-id", "r-1"))))
    assert failure.code is grpc.StatusCode.INTERNAL
    assert failure.message == "internal error"
    assert (failure.info.reason, failure.info.domain) == ("INTERNAL", "banyan")
    assert dict(failure.info.metadata) == {"request_id": "r-1"}
    assert SECRET.encode() not in failure.raw
    assert SECRET in caplog.text  # ours to read, with the stack


@pytest.mark.parametrize("call", KINDS)
async def test_a_handler_that_cancels_itself_is_our_fault(call: str, script: Script, client: Client):
    script.first = raising(asyncio.CancelledError())
    failure = await failure_of(client.call(call, seconds=10))
    assert failure.code is grpc.StatusCode.INTERNAL


async def test_a_wrong_response_is_our_fault(signed_in: SignedIn, tmp_path: Path):
    class Careless(Script):
        async def GetAlert(self, request: GetAlertRequest, _context: object) -> Alert:
            return request  # pyright: ignore[reportReturnType] -- the mistake under test

    async with running(Careless(), signed_in, tmp_path) as client:
        assert (await failure_of(client.call("unary"))).code is grpc.StatusCode.INTERNAL


async def test_a_response_above_8_mib_is_our_fault(signed_in: SignedIn, tmp_path: Path):
    class Verbose(Script):
        async def GetAlert(self, _request: GetAlertRequest, _context: object) -> Alert:
            return Alert(name="x" * (8 * 1024 * 1024))

    async with running(Verbose(), signed_in, tmp_path) as client:
        assert (await failure_of(client.call("unary"))).code is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("code", "told", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, "PEER_UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_what_a_peer_answers_is_not_passed_on_but_for_its_absence(
    code: grpc.StatusCode, told: grpc.StatusCode, reason: str, script: Script, client: Client
):
    script.first = raising(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=SECRET))
    failure = await failure_of(client.call("unary"))
    assert (failure.code, failure.info.reason) == (told, reason)
    assert SECRET.encode() not in failure.raw


@pytest.mark.parametrize(
    ("sent", "fate"), [("r-1", "kept"), ("", "replaced"), ("two words", "replaced"), ("x" * 65, "replaced")]
)
async def test_a_request_id_is_taken_over_if_it_is_one(sent: str, fate: str, script: Script, client: Client):
    seen: list[str] = []

    async def look() -> None:
        seen.append(current_request_id())

    script.first = look
    await client.call("unary", metadata=(*client.metadata, ("x-request-id", sent)))
    assert (seen[0] == sent) == (fate == "kept")
    assert seen[0]


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(None, 4.5, 5.0), (2.0, 1.5, 2.0), (40.0, 39.0, 40.0), (600.0, 59.0, 60.0)]
)
async def test_a_call_has_5_seconds_unless_told_and_60_at_most(
    asked: float | None, least: float, most: float, script: Script, client: Client
):
    left: list[float] = []

    async def look() -> None:
        left.append((call_deadline.get() or 0) - clock.monotonic_seconds())

    script.first = look
    await client.call("unary", seconds=asked)
    assert least <= left[0] <= most + 0.2  # gRPC rounds what it sends


async def test_a_call_without_a_deadline_is_ended_after_its_time(
    script: Script, monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, tmp_path: Path
):
    monkeypatch.setattr("chassis.interceptors.UNARY_SECONDS_DEFAULT", 0.1)
    stopped = asyncio.Event()

    async def wait_long() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    script.first = wait_long
    async with running(script, signed_in, tmp_path) as client:
        failure = await failure_of(client.call("unary"))
    assert (failure.code, failure.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert stopped.is_set()


@pytest.mark.parametrize("call", KINDS)
async def test_a_client_that_goes_away_stops_the_handler(call: str, script: Script, client: Client):
    started, stopped = asyncio.Event(), asyncio.Event()

    async def wait_long() -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    script.first = wait_long
    calling = asyncio.create_task(client.call(call))
    await asyncio.wait_for(started.wait(), 5)
    calling.cancel()
    await asyncio.wait_for(stopped.wait(), 5)
    script.first = nothing
    assert await client.call(call)  # nothing of it is left
    assert (client.instance.limits.calls, client.instance.limits.streams) == (0, 0)


@pytest.mark.parametrize(
    ("call", "limit"),
    [
        ("unary", "calls_max"),
        ("server stream", "streams_max"),
        ("client stream", "calls_max"),
        ("bidirectional stream", "streams_max"),
    ],
)
async def test_an_instance_without_room_sends_callers_elsewhere(
    call: str, limit: str, script: Script, signed_in: SignedIn, tmp_path: Path
):
    started, goes_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        await goes_on.wait()

    script.first = wait
    settings: dict[str, Any] = {limit: 1}
    async with running(script, signed_in, tmp_path, **settings) as client:
        calling = asyncio.create_task(client.call(call))
        await asyncio.wait_for(started.wait(), 5)
        failure = await failure_of(client.call(call))
        assert (failure.code, failure.info.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        goes_on.set()
        assert await calling
        assert await client.call(call)


async def test_a_request_above_4_mib_never_reaches_a_handler(script: Script, client: Client):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.alerts.GetAlert(GetAlertRequest(name="x" * (5 * 1024 * 1024)), metadata=client.metadata)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not script.requests


async def test_a_method_that_nobody_was_allowed_to_call_stops_the_start(
    script: Script, signed_in: SignedIn, tmp_path: Path
):
    allowed = {path: roles for path, roles in ALLOWED.items() if not path.endswith("GetAlert")}
    app = app_of(served(script), allowed, signed_in)
    with pytest.raises(AssertionError, match="AlertService/GetAlert: say in `allowed`"):
        async with running(script, signed_in, tmp_path, app):
            pass


async def test_a_permission_comes_before_a_check_of_the_request(signed_in: SignedIn, script: Script, tmp_path: Path):
    app = app_of(served(script), dict.fromkeys(ALLOWED, frozenset({Role.ADMIN})), signed_in)
    async with running(script, signed_in, tmp_path, app) as client:
        failure = await failure_of(client.alerts.GetAlert(GetAlertRequest(), metadata=client.metadata))
    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
