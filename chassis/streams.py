"""Streams to clients: what the handler yields is sent on, until the handler is done or the stream has to end.

A stream is told to end when the instance drains, when the caller's token expires or his session is revoked; its
last message then says why (`end`), so that a browser, which sees no trailers, knows it too.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from enum import StrEnum
from typing import Any

from google.protobuf.message import Message

from chassis import clock
from chassis.caller import Caller
from chassis.errors import Kind, Refused

Context = Any  # grpc.aio.ServicerContext, whose stub is generic and whose class is not
MESSAGE_BYTES_MAX = 8 * 1024 * 1024

# A stream's head goes out at once, but a refusal that the handler knows right away should still be a status, which
# becomes an HTTP status at the gateway: after the head it could not.
_HEAD_DELAY_SECONDS = 0.2
# A client that does not read holds the stream's one writer; it gets this long before it is cut off.
_LAST_WRITE_SECONDS = 5.0
_REVOCATION_CHECK_SECONDS = 1.0


class EndReason(StrEnum):
    """Why the server ends a stream; the names are those of every package's StreamEnd.Reason."""

    DRAINING = "DRAINING"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 -- not a password
    REVOKED = "REVOKED"
    FORBIDDEN = "FORBIDDEN"
    INTERNAL = "INTERNAL"


_KIND_OF = {
    EndReason.DRAINING: Kind.UNAVAILABLE,
    EndReason.TOKEN_EXPIRED: Kind.UNAUTHENTICATED,
    EndReason.REVOKED: Kind.UNAUTHENTICATED,
    EndReason.FORBIDDEN: Kind.FORBIDDEN,
    EndReason.INTERNAL: Kind.UNAVAILABLE,
}


def ended(reason: EndReason) -> Refused:
    """Refuses the rest of a stream whose messages have no `end`."""
    return Refused(_KIND_OF[reason], "STREAM_ENDED", f"the stream ends: {reason}", {"reason": reason.value})


# How a refusal after the first message is told to who only reads messages.
END_REASON_OF = {
    Kind.FORBIDDEN: EndReason.FORBIDDEN,
    Kind.NOT_FOUND: EndReason.FORBIDDEN,
    Kind.UNAUTHENTICATED: EndReason.TOKEN_EXPIRED,
    Kind.UNAVAILABLE: EndReason.DRAINING,
}


def last_message_of(response: type[Message]) -> Callable[[EndReason, str], Message] | None:
    """Makes a stream's last message, with `end` set to a reason and the request's id; None if it has no `end`."""
    field = response.DESCRIPTOR.fields_by_name.get("end")
    if field is None or field.message_type is None or field.message_type.name != "StreamEnd":
        return None
    reasons = field.message_type.enum_types_by_name["Reason"].values_by_name
    numbers = {reason: reasons[f"REASON_{reason}"].number for reason in EndReason}

    def make(reason: EndReason, request_id: str) -> Message:
        message: Any = response()
        message.end.reason = numbers[reason]
        message.end.request_id = request_id
        return message

    return make


class ClientGone(Exception):
    """The client cancelled or lost its connection: there is nobody to answer."""


class OpenStream:
    """One stream that is being served, and the one future that ends it."""

    def __init__(self, caller: Caller | None) -> None:
        self.caller = caller
        self.ending: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()

    def end(self, reason: EndReason) -> None:
        """Tells the stream to end; the first reason stays."""
        if not self.ending.done():
            self.ending.set_result(reason)


class Streams:
    """The open streams of a process."""

    def __init__(self, is_revoked: Callable[[str], bool]) -> None:
        self._is_revoked = is_revoked
        self._open: set[OpenStream] = set()
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, caller: Caller | None) -> OpenStream:
        """Opens a stream that ends by itself when the caller's token expires."""
        stream = OpenStream(caller)
        self._open.add(stream)
        if self._draining:
            stream.end(EndReason.DRAINING)
        elif caller is not None:
            seconds = (caller.expire_time - clock.now()).total_seconds()
            timer = asyncio.get_running_loop().call_later(max(seconds, 0), stream.end, EndReason.TOKEN_EXPIRED)
            stream.ending.add_done_callback(lambda _: timer.cancel())
        return stream

    def leave(self, stream: OpenStream) -> None:
        """Forgets a stream that is over."""
        self._open.discard(stream)
        stream.ending.cancel()

    def drain(self) -> None:
        """Ends all streams, and those that are still opened, since the instance is being stopped."""
        self._draining = True
        for stream in self._open:
            stream.end(EndReason.DRAINING)

    async def end_revoked(self) -> None:
        """Ends streams of revoked sessions, for ever; a job of the server."""
        while True:
            for stream in self._open:
                if stream.caller and stream.caller.session_id and self._is_revoked(stream.caller.session_id):
                    stream.end(EndReason.REVOKED)
            await asyncio.sleep(_REVOCATION_CHECK_SECONDS)


class Writer:
    """Sends one stream's messages. One at a time: gRPC takes no second message while the first is on its way."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()
        self._head_sent = False
        self.message_sent = False

    async def send(self, message: Message) -> None:
        """Sends a message. Raises ClientGone if nobody takes it any more."""
        raw = message.SerializeToString()
        assert len(raw) <= MESSAGE_BYTES_MAX, f"a message of {len(raw)} bytes is too large to send"
        async with self._turn:
            self._head_sent = self.message_sent = True
            try:
                await self._context.write(raw)
            except Exception as error:  # gRPC raises several, some not public; all mean that the call is over
                raise ClientGone from error

    async def send_last(self, message: Message) -> None:
        """Sends the message that ends the stream. Raises ClientGone if the client does not read."""
        sender = asyncio.create_task(self.send(message))
        await _finish(sender)
        if not sender.done():
            raise ClientGone
        sender.result()

    async def send_head(self) -> None:
        """Sends the initial metadata, unless a message has brought it."""
        if self._head_sent:  # perhaps by a message still on its way: that is not waited for
            return
        async with self._turn:
            self._head_sent = True
            await self._context.send_initial_metadata(())

    async def silence(self, sender: "asyncio.Task[None]") -> None:
        """Cancels the task that sends, between two messages: a message on its way cannot be taken back."""
        try:
            async with asyncio.timeout(_LAST_WRITE_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise ClientGone from None
        try:
            await _stop(sender)
        finally:
            self._turn.release()


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await _finish(task)


async def _finish(task: "asyncio.Task[None]") -> None:
    """Waits for a task, but not for ever: gRPC lets go of a message only when the client takes it or leaves."""
    await asyncio.wait({task}, timeout=_LAST_WRITE_SECONDS)
    if not task.done():
        task.add_done_callback(lambda late: late.cancelled() or late.exception())


async def send_all(answers: AsyncGenerator[Message], writer: Writer, stream: OpenStream) -> EndReason | None:
    """Sends what the handler yields. Returns None when it is done, else why the stream was told to end meanwhile.

    The handler runs in a task of its own, so that it can be stopped wherever it waits.
    """

    async def send() -> None:
        async with aclosing(answers):
            async for message in answers:
                await writer.send(message)

    sender = asyncio.create_task(send())
    try:
        over = {sender, stream.ending}
        done, _ = await asyncio.wait(over, timeout=_HEAD_DELAY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            await writer.send_head()
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        if sender.done():
            sender.result()
            return None
        await writer.silence(sender)
        return stream.ending.result()
    finally:
        if not sender.done():
            await _stop(sender)
