"""Same request id, same answer: what each write answered, remembered in the transaction that did it."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import invalid_field
from chassis.refusals import request_id_reused
from chassis.sql.engine import Database

ANSWERS_KEPT = timedelta(days=7)
_FORGET_BATCH = 10_000

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_FIND = text(
    "SELECT request_hash, response FROM idempotency"
    " WHERE request_id = :request_id AND caller = :caller AND method = :method"
)
_ADD = text(
    "INSERT INTO idempotency (request_id, caller, method, request_hash, response)"
    " VALUES (:request_id, :caller, :method, :request_hash, :response)"
)
_FORGET = text(
    "DELETE FROM idempotency WHERE (request_id, caller, method) IN (SELECT request_id, caller, method FROM idempotency"
    " WHERE create_time < bank_now() - CAST(:kept AS interval) ORDER BY create_time LIMIT :batch)"
)


@dataclass(frozen=True)
class Asked:
    """One request: who asked what of which method, under which id; `request` is the message, serialised."""

    request_id: str
    caller: str
    method: str
    request: bytes

    @property
    def hash(self) -> bytes:
        """What tells this request from another one with the same id."""
        return hashlib.sha256(self.request).digest()


async def answer_given(tx: AsyncConnection, asked: Asked) -> bytes | None:
    """The answer that this caller's request got before, or None if it is the first.

    Until `tx` ends, another call of the same request waits here: ask before the work, `remember` after it. Refuses an
    id that is no UUID, and one under which the caller asked for something else: its answer is not this request's.
    """
    _check_uuid(asked.request_id)
    named = {"request_id": asked.request_id, "caller": asked.caller, "method": asked.method}
    await tx.execute(_LOCK, {"key": f"idempotency\n{asked.request_id}\n{asked.caller}\n{asked.method}"})
    row = (await tx.execute(_FIND, named)).one_or_none()
    if row is None:
        return None
    if row.request_hash != asked.hash:
        raise request_id_reused()
    return row.response


async def remember(tx: AsyncConnection, asked: Asked, response: bytes) -> None:
    """Keeps the answer, to be given again for at least seven days; kept only if `tx` commits."""
    named = {"request_id": asked.request_id, "caller": asked.caller, "method": asked.method}
    await tx.execute(_ADD, {**named, "request_hash": asked.hash, "response": response})


async def forget_answers(database: Database, kept: timedelta = ANSWERS_KEPT) -> int:
    """Deletes answers older than `kept`, some at a time, and returns how many."""
    forgotten = 0
    while True:
        async with database.begin() as tx:
            deleted = (await tx.execute(_FORGET, {"kept": kept, "batch": _FORGET_BATCH})).rowcount
        forgotten += deleted
        if deleted < _FORGET_BATCH:
            return forgotten


def _check_uuid(request_id: str) -> None:
    try:
        UUID(request_id)
    except ValueError:
        raise invalid_field("request_id", "must be a UUID") from None
