import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from banyan.alert.v1.alert_service_pb2 import WatchAlertsRequest, WatchAlertsResponse
from banyan.alert.v1.stream_end_pb2 import StreamEnd

from chassis import clock
from chassis.caller import Role
from chassis.errors import Kind, Refused
from chassis.testing import SignedIn
from tests.chassis.scripted import KINDS, STREAMING_KINDS, Client, Script, batches, failure, failure_of, running


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


class Waiting:
    """What a handler does that waits for something that never comes; it remembers that it was stopped."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    async def __call__(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


async def opened(client: Client, kind: str, metadata: Any = None) -> Any:
    """A stream that waits after its first message."""
    metadata = metadata or client.metadata
    if kind == "server stream":
        stream = client.alerts.WatchAlerts(WatchAlertsRequest(), metadata=metadata)
    else:
        stream = client.transactions.IngestTransactions(batches(1), metadata=metadata)
    assert await asyncio.wait_for(stream.read(), 5)
    return stream


async def last_message(stream: Any, within_seconds: float = 5) -> Any:
    async with asyncio.timeout(within_seconds):
        message = await stream.read()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK
    return message


@pytest.mark.parametrize("kind", STREAMING_KINDS)
async def test_draining_ends_streams_whose_handlers_wait(kind: str, script: Script, client: Client):
    script.then = waiting = Waiting()
    stream = await opened(client, kind)
    await waiting.started.wait()
    client.instance.streams.drain()
    assert (await last_message(stream)).end.reason == StreamEnd.REASON_DRAINING
    assert waiting.stopped.is_set()
    assert len(client.instance.streams) == 0


async def test_a_stream_opened_while_draining_ends_at_once(client: Client):
    client.instance.streams.drain()
    answers = await client.call("server stream")
    assert [answer.end.reason for answer in answers][-1:] == [StreamEnd.REASON_DRAINING]


@pytest.mark.parametrize("kind", STREAMING_KINDS)
async def test_a_stream_ends_when_the_token_expires(kind: str, script: Script, client: Client, signed_in: SignedIn):
    script.then = waiting = Waiting()
    expire_time = clock.now() + timedelta(seconds=2)
    stream = await opened(client, kind, signed_in.staff(Role.MANAGER, expire_time=expire_time))
    message = await last_message(stream)
    assert message.end.reason == StreamEnd.REASON_TOKEN_EXPIRED
    assert waiting.stopped.is_set()
    # `exp` has whole seconds.
    assert abs((clock.now() - expire_time).total_seconds()) < 1.2


@pytest.mark.parametrize("kind", STREAMING_KINDS)
async def test_a_stream_ends_when_the_session_is_revoked(
    kind: str, script: Script, client: Client, signed_in: SignedIn
):
    script.then = Waiting()
    session_id = f"session of {kind}"
    stream = await opened(client, kind, signed_in.staff(Role.MANAGER, session_id=session_id))
    other = await opened(client, kind)
    signed_in.revocations.add(session_id, clock.now() + timedelta(minutes=15))
    assert (await last_message(stream)).end.reason == StreamEnd.REASON_REVOKED
    assert not other.done()
    other.cancel()


@pytest.mark.parametrize("kind", STREAMING_KINDS)
async def test_our_own_fault_after_the_first_message_is_told_in_the_last(kind: str, script: Script, client: Client):
    async def fail() -> None:
        raise RuntimeError("password=correct-horse")

    script.then = fail
    stream = await opened(client, kind, (*client.metadata, ("x-request-id", "r-1")))
    message = await last_message(stream)
    assert (message.end.reason, message.end.request_id) == (StreamEnd.REASON_INTERNAL, "r-1")
    assert b"password" not in message.SerializeToString()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.FORBIDDEN, StreamEnd.REASON_FORBIDDEN),
        (Kind.NOT_FOUND, StreamEnd.REASON_FORBIDDEN),
        (Kind.UNAUTHENTICATED, StreamEnd.REASON_TOKEN_EXPIRED),
        (Kind.UNAVAILABLE, StreamEnd.REASON_DRAINING),
        (Kind.CONFLICT, StreamEnd.REASON_INTERNAL),
    ],
)
async def test_a_refusal_in_a_watch_is_told_in_the_last_message(
    kind: Kind, reason: int, script: Script, client: Client
):
    async def refuse() -> None:
        raise Refused(kind, "SOME_REASON", "no more")

    script.then = refuse
    stream = await opened(client, "server stream")
    assert (await last_message(stream)).end.reason == reason


async def test_a_refusal_of_what_a_client_streams_keeps_its_reason(script: Script, client: Client):
    async def refuse() -> None:
        raise Refused(Kind.INVALID, "BATCH_OUT_OF_ORDER", "batch 1 came before")

    script.then = refuse
    stream = await opened(client, "bidirectional stream")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    assert failure(raised.value).info.reason == "BATCH_OUT_OF_ORDER"


async def test_a_watch_without_news_sends_its_head_at_once(script: Script, client: Client):
    script.first = Waiting()
    stream = client.alerts.WatchAlerts(WatchAlertsRequest(), metadata=client.metadata)
    async with asyncio.timeout(1):
        await stream.initial_metadata()
    assert not stream.done()
    stream.cancel()


async def test_a_refusal_known_right_away_is_a_status_without_a_head(script: Script, client: Client):
    async def refuse() -> None:
        raise Refused(Kind.INVALID, "RESUME_TOKEN_INVALID", "not one of ours")

    script.first = refuse
    refused = await failure_of(client.call("server stream"))
    assert refused.info.reason == "RESUME_TOKEN_INVALID"


async def test_a_client_that_does_not_read_cannot_hold_up_the_drain(
    signed_in: SignedIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., Awaitable[None]],
):
    monkeypatch.setattr("chassis.streams._LAST_WRITE_SECONDS", 0.5)

    class Flood(Script):
        async def WatchAlerts(self, _request: Any, _context: Any) -> AsyncIterator[WatchAlertsResponse]:
            while True:
                yield WatchAlertsResponse(resume_token="x" * 1_000_000)

    async with running(Flood(), signed_in, tmp_path) as flooded:
        stream = await opened(flooded, "server stream")
        await asyncio.sleep(0.2)
        flooded.instance.streams.drain()
        await eventually(lambda: not len(flooded.instance.streams))
        stream.cancel()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_drained_instance_still_works_on_is_finished(kind: str, script: Script, client: Client):
    started, goes_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        await goes_on.wait()

    script.first = wait
    calling = asyncio.create_task(client.call(kind))
    await asyncio.wait_for(started.wait(), 5)
    stopping = asyncio.create_task(client.instance.stop(10))
    await asyncio.sleep(0.1)
    goes_on.set()
    assert await calling
    await asyncio.wait_for(stopping, 5)
