"""Asks other services for parts of an answer that is whole without them too: each in time, or it is missing."""

from collections.abc import Awaitable
from typing import Literal, TypeVar

import grpc

from chassis import clock
from chassis.channel import call_deadline
from services.customer_svc.domain.parts import Missing

T = TypeVar("T")

ASK_SECONDS_MAX = 0.8
# Of what the caller's own call has left others get so much at most: the rest of the answer must still reach him.
_SHARE = 0.6
_SECONDS_MIN = 0.001
# He may not ask there, or is not known there as here: then there is nothing for him.
_NOTHING = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED})


def ask_seconds() -> float:
    """How long another service may take now."""
    deadline = call_deadline.get()
    if deadline is None:
        return ASK_SECONDS_MAX
    return min(ASK_SECONDS_MAX, max((deadline - clock.monotonic_seconds()) * _SHARE, _SECONDS_MIN))


async def answer_or_missing(part: str, asked: Awaitable[T], nothing: T) -> tuple[T, Missing | None]:
    """What another service answers, `nothing` if it has nothing for the caller; else that the part is missing."""
    try:
        return await asked, None
    except grpc.aio.AioRpcError as error:
        code = error.code()
    if code in _NOTHING:
        return nothing, None
    reason: Literal["TIMEOUT", "UNAVAILABLE"] = (
        "TIMEOUT" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "UNAVAILABLE"
    )
    return nothing, Missing(part, reason)
