"""What is remembered of long work: one row per operation (design 4.7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Three missed heartbeats and more: whoever claimed it is dead, or hangs.
STALE_SECONDS = 15.0

_COLUMNS = (
    "operation_id::text, kind, caller_id, request, state = 'DONE' AS done, cancelled, metadata, response, error,"
    " create_time"
)
_ADD = text(
    "INSERT INTO operation (kind, caller_id, request_id, request)"  # noqa: S608 - our own columns
    " VALUES (:kind, :caller_id, :request_id, :request)"
    f" ON CONFLICT (caller_id, kind, request_id) DO NOTHING RETURNING {_COLUMNS}"
)
_FIND_REQUEST = text(
    f"SELECT {_COLUMNS} FROM operation"  # noqa: S608 - our own columns
    " WHERE caller_id = :caller_id AND kind = :kind AND request_id = :request_id"
)
_FIND = text(f"SELECT {_COLUMNS} FROM operation WHERE operation_id = CAST(:id AS uuid)")  # noqa: S608 - our own columns
_PAGE = text(
    f"SELECT {_COLUMNS} FROM operation"  # noqa: S608 - our own columns
    " WHERE (CAST(:caller_id AS text) IS NULL OR caller_id = :caller_id)"
    " AND (CAST(:before AS text) IS NULL OR operation_id < CAST(:before AS uuid))"
    " ORDER BY operation_id DESC LIMIT :limit"
)
# What nobody has begun is over at once.
_CANCEL = text(
    "UPDATE operation SET cancelled = true, state = CASE state WHEN 'WAITING' THEN 'DONE' ELSE state END,"
    " error = CASE state WHEN 'WAITING' THEN CAST(:error AS bytea) ELSE error END,"
    " end_time = CASE state WHEN 'WAITING' THEN bank_now() ELSE end_time END"
    " WHERE operation_id = CAST(:id AS uuid) AND state <> 'DONE'"
)
_CLAIM = text(
    "UPDATE operation SET state = 'RUNNING', claimed_by = :claim, heartbeat_time = clock_timestamp()"  # noqa: S608 - our own columns
    " WHERE operation_id = (SELECT operation_id FROM operation WHERE kind = ANY(:kinds) AND (state = 'WAITING'"
    " OR (state = 'RUNNING' AND heartbeat_time < clock_timestamp() - make_interval(secs => :stale_seconds)))"
    f" ORDER BY create_time LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING {_COLUMNS}"
)
_BEAT = text(
    "UPDATE operation SET heartbeat_time = clock_timestamp(), metadata = coalesce(:metadata, metadata)"
    " WHERE operation_id = CAST(:id AS uuid) AND claimed_by = :claim AND state = 'RUNNING' RETURNING cancelled"
)
_FINISH = text(
    "UPDATE operation SET state = 'DONE', metadata = coalesce(:metadata, metadata), response = :response,"
    " error = :error, end_time = bank_now()"
    " WHERE operation_id = CAST(:id AS uuid) AND claimed_by = :claim AND state = 'RUNNING'"
)
_RELEASE = text(
    "UPDATE operation SET state = 'WAITING', metadata = coalesce(:metadata, metadata), claimed_by = NULL"
    " WHERE operation_id = CAST(:id AS uuid) AND claimed_by = :claim AND state = 'RUNNING' AND NOT cancelled"
)


@dataclass(frozen=True)
class StoredOperation:
    """An operation as it stands; its messages are serialised: Any, and google.rpc.Status for the error."""

    operation_id: str
    kind: str
    caller_id: str
    request: bytes
    done: bool
    cancelled: bool
    metadata: bytes | None
    response: bytes | None
    error: bytes | None
    create_time: datetime


@dataclass(frozen=True)
class Claim:
    """The right to work on an operation, until somebody else claims it because its heartbeat failed."""

    operation_id: str
    claim: str


async def add(tx: AsyncConnection, kind: str, request: bytes, caller_id: str, request_id: str) -> StoredOperation:
    """Adds an operation, or finds the one that the same request of the same caller added before."""
    values = {"kind": kind, "caller_id": caller_id, "request_id": request_id}
    row = (await tx.execute(_ADD, {**values, "request": request})).one_or_none()
    return StoredOperation(*(row or (await tx.execute(_FIND_REQUEST, values)).one()))


async def find(tx: AsyncConnection, operation_id: str) -> StoredOperation | None:
    """The operation with an id."""
    row = (await tx.execute(_FIND, {"id": operation_id})).one_or_none()
    return StoredOperation(*row) if row else None


async def page(tx: AsyncConnection, caller_id: str | None, before: str | None, limit: int) -> list[StoredOperation]:
    """Operations of one caller or of all, the youngest first, those older than `before`."""
    rows = await tx.execute(_PAGE, {"caller_id": caller_id, "before": before, "limit": limit})
    return [StoredOperation(*row) for row in rows]


async def cancel(tx: AsyncConnection, operation_id: str, error: bytes) -> None:
    """Asks for the end; one that nobody has begun ends here with the error."""
    await tx.execute(_CANCEL, {"id": operation_id, "error": error})


async def claim(tx: AsyncConnection, kinds: list[str], name: str) -> StoredOperation | None:
    """Takes the oldest operation that waits, or whose worker is dead; None if there is none."""
    values: dict[str, Any] = {"kinds": kinds, "claim": name, "stale_seconds": STALE_SECONDS}
    row = (await tx.execute(_CLAIM, values)).one_or_none()
    return StoredOperation(*row) if row else None


async def beat(tx: AsyncConnection, claim: Claim, metadata: bytes | None) -> bool | None:
    """Says that the work goes on, and how far it is; whether it is to stop, or None if it is somebody else's now."""
    values = {"id": claim.operation_id, "claim": claim.claim, "metadata": metadata}
    return (await tx.execute(_BEAT, values)).scalar_one_or_none()


async def finish(
    tx: AsyncConnection, claim: Claim, metadata: bytes | None, *, response: bytes | None, error: bytes | None
) -> bool:
    """Ends the operation; False, and nothing is kept, if it is somebody else's now."""
    values = {"id": claim.operation_id, "claim": claim.claim, "metadata": metadata}
    return (await tx.execute(_FINISH, {**values, "response": response, "error": error})).rowcount == 1


async def release(tx: AsyncConnection, claim: Claim, metadata: bytes | None) -> None:
    """Lets another worker go on with it at once."""
    await tx.execute(_RELEASE, {"id": claim.operation_id, "claim": claim.claim, "metadata": metadata})
