"""Writes that are asked for twice: the same request of the same caller gets the same answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import current_caller
from chassis.sql.engine import Database
from chassis.sql.idempotency import Asked, answer_given, remember

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Write:
    """A request that writes. `check` refuses whoever may not, also when the answer is only given again."""

    method: str
    request: Any
    """The message, which has a `request_id`."""
    check: Callable[[AsyncConnection], Awaitable[object]] | None = None


async def once(
    database: Database, write: Write, response: type[M], work: Callable[[AsyncConnection], Awaitable[M]]
) -> M:
    """What the work answers, in one transaction with it; or what it answered this request before."""
    request = write.request
    caller = current_caller().staff_id
    asked = Asked(request.request_id, caller, write.method, request.SerializeToString(deterministic=True))

    async def whole(tx: AsyncConnection) -> M:
        if write.check is not None:
            await write.check(tx)
        earlier = await answer_given(tx, asked)
        if earlier is not None:
            return response.FromString(earlier)
        answer = await work(tx)
        await remember(tx, asked, answer.SerializeToString())
        return answer

    return await database.repeat(whole)
