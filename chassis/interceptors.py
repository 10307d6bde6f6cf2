"""What stands between the wire and every handler, in one order for all four kinds of calls.

request id → log → errors → caller → permission → required fields → limits. Everything that can be known of a method
is computed at start, and each method gets one composed coroutine: grpc.aio's own interceptors would cost a chain of
coroutines per call.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import structlog

from chassis import clock, telemetry
from chassis.call import Call, Chain, admit, names, overloaded, read_each, reader
from chassis.channel import call_deadline
from chassis.errors import Refused
from chassis.refusals import Answer, answer_to, late
from chassis.streams import (
    END_REASON_OF,
    MESSAGE_BYTES_MAX,
    ClientGone,
    Context,
    EndReason,
    Writer,
    ended,
    last_message_of,
    send_all,
)
from chassis.wire import MethodInfo

UNARY_SECONDS_DEFAULT = 5.0
UNARY_SECONDS_MAX = 60.0
# A client that streams and never ends would hold its place for ever.
UPLOAD_SECONDS_MAX = 3600.0
_SLOW_SECONDS = 1.0
log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

Handler = Any  # grpc.RpcMethodHandler, whose stub is generic and whose class is not
# A handler as generated code registers it: what it takes and returns differs by the kind of call.
_Behaviour = Callable[[Any, Context], Any]
_Argument = Any  # bytes, or an asynchronous iterator of them
# The part of the chain from the caller to the handler; it returns the bytes of a single response.
_Work = Callable[[Call, Any, Context], Awaitable[bytes | None]]


def govern(method: MethodInfo, handler: Handler, chain: Chain) -> Handler:
    """The handler behind the whole chain. It takes and gives bytes: nothing is decoded for who may not call."""
    assert method.path in chain.allowed, f"{method.path}: say in `allowed` who may call it"
    make_work = _stream_work if method.server_streaming else _single_work
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    served = _Governed(method.path, chain.error_domain, make_work(method, behaviour, chain)).serve
    governed = telemetry.traced(method.path, served) if chain.tracing else served
    match method.client_streaming, method.server_streaming:
        case False, False:
            return grpc.unary_unary_rpc_method_handler(governed)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(governed)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(governed)
        case _:
            return grpc.stream_stream_rpc_method_handler(governed)


class _TimeOver(Exception):
    """The time that the server gives a call is over."""


class _Governed:
    """One method: gives each call its request id, logs and counts it, and ends it if it raises."""

    def __init__(self, path: str, error_domain: str, work: _Work) -> None:
        self._path = path
        self._error_domain = error_domain
        self._work = work
        self._seconds_by_code: dict[str, Any] = {}
        self._logs_all = logging.getLogger(__name__).isEnabledFor(logging.DEBUG)

    async def serve(self, argument: object, context: Context) -> bytes | None:
        call = Call(context)
        try:
            answer = await self._work(call, argument, context)
        except BaseException as error:  # noqa: BLE001 -- a call that is not answered would hang until its deadline
            await self._end(call, error, context)
        self._count(call)
        return answer

    async def _end(self, call: Call, error: BaseException, context: Context) -> NoReturn:
        task = asyncio.current_task()
        # A handler may also raise CancelledError by itself; that is a fault like any other.
        cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
        if cancelled or isinstance(error, ClientGone):
            call.code = "CANCELLED"
            self._count(call)
            raise asyncio.CancelledError from error
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise error
        answer = late() if isinstance(error, _TimeOver) else answer_to(error, self._error_domain, call.request_id)
        call.code = answer.code.name
        self._count(call)
        self._log_failure(call, answer, error)
        await context.abort(answer.code, answer.message, answer.trailing_metadata)
        raise AssertionError("abort raises")

    def _count(self, call: Call) -> None:
        seconds = time.perf_counter() - call.started
        child = self._seconds_by_code.get(call.code)
        if child is None:
            child = self._seconds_by_code[call.code] = telemetry.RPC_SECONDS.labels(self._path, call.code)
        child.observe(seconds)
        # A call that went well is counted; a line for each would cost as much as the rest of the chain.
        if self._logs_all or seconds > _SLOW_SECONDS:
            log.info("served", method=self._path, code=call.code, seconds=round(seconds, 4), **names(call))

    def _log_failure(self, call: Call, answer: Answer, error: BaseException) -> None:
        facts = {"method": self._path, "code": answer.code.name, "reason": answer.reason, **names(call)}
        if answer.code is grpc.StatusCode.INTERNAL:
            log.error("failed", exc_info=error, **facts)
        else:
            log.info("refused", answer=answer.message, **facts)


def _single_work(method: MethodInfo, behaviour: _Behaviour, chain: Chain) -> _Work:
    """The chain of methods that give one response."""
    read = reader(method)
    roles, verifier, limits = chain.allowed[method.path], chain.verifier, chain.limits
    default, most = (
        (UPLOAD_SECONDS_MAX, UPLOAD_SECONDS_MAX)
        if method.client_streaming
        else (UNARY_SECONDS_DEFAULT, UNARY_SECONDS_MAX)
    )

    async def work(call: Call, argument: _Argument, context: Context) -> bytes:
        admit(call, roles, verifier)
        request = read_each(argument, read) if method.client_streaming else read(argument)
        if limits.calls >= limits.calls_max:
            raise overloaded()
        limits.calls += 1
        try:
            remaining: float | None = context.time_remaining()
            seconds = default if remaining is None else min(remaining, most)
            call_deadline.set(clock.monotonic_seconds() + seconds)
            if seconds == remaining:  # gRPC itself cancels the call at the client's deadline
                response = await behaviour(request, context)
            else:
                response = await _within(seconds, behaviour(request, context))
        finally:
            limits.calls -= 1
        assert type(response) is method.response, f"{method.path} answered with {type(response)}"
        raw = response.SerializeToString()
        assert len(raw) <= MESSAGE_BYTES_MAX, f"a message of {len(raw)} bytes is too large to send"
        return raw

    return work


async def _within(seconds: float, answering: Awaitable[object]) -> object:
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            return await answering
    except TimeoutError:
        if timer.expired():
            raise _TimeOver from None
        raise


def _stream_work(method: MethodInfo, behaviour: _Behaviour, chain: Chain) -> _Work:
    """The chain of methods that give many responses."""
    read = reader(method)
    roles, verifier, limits = chain.allowed[method.path], chain.verifier, chain.limits
    last_message = last_message_of(method.response)

    async def work(call: Call, argument: _Argument, context: Context) -> None:
        admit(call, roles, verifier)
        request = read_each(argument, read) if method.client_streaming else read(argument)
        if limits.streams >= limits.streams_max:
            raise overloaded()
        limits.streams += 1
        stream = chain.streams.enter(call.caller)
        writer = Writer(context)
        remaining: float | None = context.time_remaining()
        call_deadline.set(None if remaining is None else clock.monotonic_seconds() + remaining)
        try:
            reason = await send_all(behaviour(request, context), writer, stream)
        except Exception as error:
            reason = _told_in_stream(error, method, writer)
            if reason is None or last_message is None:
                raise
            if reason is EndReason.INTERNAL:
                call.code = "INTERNAL"
                log.exception("failed", method=method.path, **names(call))
        finally:
            chain.streams.leave(stream)
            limits.streams -= 1
        if reason is not None:
            if last_message is None:
                raise ended(reason)
            await writer.send_last(last_message(reason, call.request_id))

    return work


def _told_in_stream(error: Exception, method: MethodInfo, writer: Writer) -> EndReason | None:
    """How a stream that failed after its first message says so in its last; None if its status says it.

    Who streams to us reads the status (no browser does), and is told there what was wrong with his messages.
    """
    if not writer.message_sent or isinstance(error, ClientGone):
        return None
    if not isinstance(error, Refused):
        return EndReason.INTERNAL
    if method.client_streaming:
        return None
    return END_REASON_OF.get(error.kind, EndReason.INTERNAL)
