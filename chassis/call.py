"""One call on its way to its handler: who calls, whether he may, what he asks, whether there is room for it."""

import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message

from chassis import clock
from chassis.caller import Caller, Role, enter_call
from chassis.errors import Kind, Refused
from chassis.refusals import malformed
from chassis.required_fields import checker
from chassis.streams import Context, Streams
from chassis.tokens import Verifier
from chassis.wire import MethodInfo

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Limits:
    """How many calls and streams an instance works on at once.

    Above that it answers UNAVAILABLE, not RESOURCE_EXHAUSTED: another instance may have room, and UNAVAILABLE is
    what channels and the gateway retry elsewhere.
    """

    def __init__(self, calls_max: int, streams_max: int) -> None:
        self.calls = 0
        self.streams = 0
        self.calls_max = calls_max
        self.streams_max = streams_max


@dataclass(frozen=True)
class Chain:
    """What the chain needs to know besides a method's contract; one for all methods of a process."""

    error_domain: str
    allowed: Mapping[str, frozenset[Role]]
    """Who may call what, by the method's path; PUBLIC for everybody, even without a token."""
    verifier: Verifier
    limits: Limits
    streams: Streams
    tracing: bool = False


class Call:
    """One call on its way through the chain."""

    __slots__ = ("caller", "code", "request_id", "started", "token")

    def __init__(self, context: Context) -> None:
        self.started = time.perf_counter()
        self.caller: Caller | None = None
        self.code = "OK"
        self.token = ""
        self.request_id = ""
        for key, value in context.invocation_metadata():
            if key == "authorization":
                self.token = value
            elif key == "x-request-id":
                self.request_id = value
        if not _REQUEST_ID.fullmatch(self.request_id):
            self.request_id = secrets.token_hex(16)


def admit(call: Call, roles: frozenset[Role], verifier: Verifier) -> None:
    """Finds out who calls and whether he may."""
    if roles:
        if call.token[:7].lower() != "bearer ":
            raise Refused(Kind.UNAUTHENTICATED, "TOKEN_MISSING", "this call needs a bearer token")
        caller = verifier.verify(call.token[7:], clock.now())
        call.caller = caller
        if roles.isdisjoint(caller.roles):
            raise Refused(Kind.FORBIDDEN, "ROLE_FORBIDDEN", "your roles do not allow this call")
    enter_call(call.caller, call.request_id)


def overloaded() -> Refused:
    """Refuses for lack of room here."""
    return Refused(Kind.UNAVAILABLE, "OVERLOADED", "this instance works on as many calls as it can; try again")


Read = Callable[[bytes], Message]


def reader(method: MethodInfo) -> Read:
    """Decodes and checks a request."""
    decode = method.request.FromString
    check = checker(method.request, with_elements=not method.client_streaming)

    def read(raw: bytes) -> Message:
        try:
            request = decode(raw)
        except DecodeError:
            raise malformed() from None
        check(request, raw)
        return request

    return read


async def read_each(raws: AsyncIterable[bytes], read: Read) -> AsyncGenerator[Message]:
    async for raw in raws:
        yield read(raw)


def names(call: Call) -> dict[str, str]:
    """Whose call it is, for the log."""
    return {"request_id": call.request_id, "caller": call.caller.staff_id if call.caller else ""}
