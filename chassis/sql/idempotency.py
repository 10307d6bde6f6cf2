"""Same request id, same answer: what each write answered, remembered in the transaction that did it."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database

ANSWERS_KEPT = timedelta(days=7)
_FORGET_BATCH = 10_000

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_FIND = text(
    "SELECT response FROM idempotency WHERE request_id = :request_id AND caller = :caller AND method = :method"
)
_ADD = text(
    "INSERT INTO idempotency (request_id, caller, method, response) VALUES (:request_id, :caller, :method, :response)"
)
_FORGET = text(
    "DELETE FROM idempotency WHERE (request_id, caller, method) IN (SELECT request_id, caller, method FROM idempotency"
    " WHERE create_time < bank_now() - CAST(:kept AS interval) ORDER BY create_time LIMIT :batch)"
)


async def answer_given(tx: AsyncConnection, request_id: str, caller: str, method: str) -> bytes | None:
    """The answer that this caller's request got before, or None if it is the first.

    Until `tx` ends, another call of the same request waits here: ask before the work, `remember` after it.
    """
    await tx.execute(_LOCK, {"key": f"idempotency\n{request_id}\n{caller}\n{method}"})
    result = await tx.execute(_FIND, {"request_id": request_id, "caller": caller, "method": method})
    return result.scalar_one_or_none()


async def remember(tx: AsyncConnection, request_id: str, caller: str, method: str, response: bytes) -> None:
    """Keeps the answer, to be given again for at least seven days; kept only if `tx` commits."""
    values = {"request_id": request_id, "caller": caller, "method": method, "response": response}
    await tx.execute(_ADD, values)


async def forget_answers(database: Database, kept: timedelta = ANSWERS_KEPT) -> int:
    """Deletes answers older than `kept`, some at a time, and returns how many."""
    forgotten = 0
    while True:
        async with database.begin() as tx:
            deleted = (await tx.execute(_FORGET, {"kept": kept, "batch": _FORGET_BATCH})).rowcount
        forgotten += deleted
        if deleted < _FORGET_BATCH:
            return forgotten
