"""Who read or changed what: rows written with the read itself, sealed in a chain so that a later change shows."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import CTE, ColumnElement, FromClause, Table, func, insert, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.engine import Database

log = structlog.get_logger(__name__)

SEAL_SECONDS = 60
# Several instances run the job; one of them seals each minute.
_SEAL_YOUNG_SECONDS = 50
_SEAL_LOCK = 0x62616E79616E2073
_HASH_BATCH = 1_000
_SUBJECTS = "customer_id"

_ADD = text(
    "INSERT INTO audit (caller, branch_id, request_id, method, customer_id, detail)"
    " VALUES (:caller, :branch_id, :request_id, :method, :customer_id, CAST(:detail AS jsonb))"
)
_ADD_READS = text(
    "INSERT INTO audit (caller, branch_id, request_id, method, customer_id)"
    " SELECT :caller, :branch_id, :request_id, :method, customer_id"
    " FROM unnest(CAST(:customer_ids AS text[])) AS customer_id"
    " WHERE set_config('synchronous_commit', 'off', true) = 'off'"
)
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
_LAST_SEAL = text(
    "SELECT seal_id, until_rev, hash, create_time > bank_now() - make_interval(secs => :young)"
    " FROM audit_seal ORDER BY seal_id DESC LIMIT 1"
)
# Below it every transaction is over: no row can be added there any more, however late it commits.
_SETTLED = text("SELECT pg_snapshot_xmin(pg_current_snapshot())")
_ROWS = text(
    "SELECT time, audit_id, rev, caller, branch_id, request_id, method, customer_id, detail FROM audit"
    " WHERE rev >= CAST(:from_rev AS xid8) AND rev < CAST(:until_rev AS xid8) ORDER BY rev, audit_id"
)
_ADD_SEAL = text(
    "INSERT INTO audit_seal (seal_id, from_rev, until_rev, row_count, hash)"
    " VALUES (:seal_id, CAST(:from_rev AS xid8), CAST(:until_rev AS xid8), :row_count, :hash)"
)
_SEALS = text("SELECT seal_id, from_rev, until_rev, row_count, hash FROM audit_seal ORDER BY seal_id")


@dataclass(frozen=True)
class AuditEntry:
    """One thing to remember: who, in which request, did what, to whose data."""

    caller: str
    branch_id: str
    request_id: str
    method: str
    customer_id: str = ""
    detail: Mapping[str, str] = field(default_factory=dict[str, str])


async def audit(tx: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    """Remembers entries with the transaction that does what they tell."""
    rows = [
        {
            "caller": entry.caller,
            "branch_id": entry.branch_id,
            "request_id": entry.request_id,
            "method": entry.method,
            "customer_id": entry.customer_id,
            "detail": json.dumps(dict(entry.detail)),
        }
        for entry in entries
    ]
    if rows:
        await tx.execute(_ADD, rows)


async def audit_reads(tx: AsyncConnection, entry: AuditEntry, customer_ids: Collection[str]) -> None:
    """Remembers a read of these customers' data, a row for each; before the answer leaves, not with the read itself.

    In a statement that stands alone the commit does not wait for the disk, as in `audit_read_cte`.
    """
    if customer_ids:
        told = {name: getattr(entry, name) for name in ("caller", "branch_id", "request_id", "method")}
        await tx.execute(_ADD_READS, {**told, "customer_ids": sorted(customer_ids)})


def audit_read_cte(table: Table, entry: AuditEntry, subjects: FromClause | None = None) -> CTE:
    """The part of a read that remembers it: `select(…).add_cte(audit_read_cte(…))` reads and remembers at once.

    With `subjects` (a CTE or subquery of the rows shown, with a column customer_id) there is one row for each of them.
    In a statement that stands alone the commit does not wait for the disk: a crash may lose the last moment of audit,
    as it loses the answers that nobody received.
    """
    customer_id: ColumnElement[Any] = literal(entry.customer_id) if subjects is None else subjects.c[_SUBJECTS]
    values: dict[str, ColumnElement[Any]] = {
        "caller": literal(entry.caller),
        "branch_id": literal(entry.branch_id),
        "request_id": literal(entry.request_id),
        "method": literal(entry.method),
        "customer_id": customer_id,
        "detail": literal(dict(entry.detail), JSONB),
    }
    rows = select(*(value.label(name) for name, value in values.items()))
    if subjects is not None:
        rows = rows.select_from(subjects)
    rows = rows.where(func.set_config("synchronous_commit", "off", literal(value=True)) == "off")
    return insert(table).from_select(list(values), rows).cte("audited")


async def seal_minutes(database: Database) -> None:
    """A job for every instance: seals what was written, once a minute in the whole service."""
    while True:
        await seal(database, young_seconds=_SEAL_YOUNG_SECONDS)
        await asyncio.sleep(SEAL_SECONDS)


async def seal(database: Database, young_seconds: float = 0) -> bool:
    """Seals the settled rows since the last seal; False if there are none, another seals, or that seal is young."""
    async with database.begin() as tx:
        if not (await tx.execute(_TRY_LOCK, {"key": _SEAL_LOCK})).scalar_one():
            return False
        last = (await tx.execute(_LAST_SEAL, {"young": young_seconds})).one_or_none()
        seal_id, from_rev, previous, is_young = last or (0, 0, b"", False)
        if is_young:
            return False
        until_rev = (await tx.execute(_SETTLED)).scalar_one()
        count, digest = await _digest(tx, previous, from_rev, until_rev)
        if not count:
            return False
        values = {"from_rev": from_rev, "until_rev": until_rev, "row_count": count, "hash": digest}
        await tx.execute(_ADD_SEAL, {"seal_id": seal_id + 1, **values})
    # Outside the database too: whoever cuts off the end of the chain leaves this line.
    log.info("audit_sealed", seal=seal_id + 1, rows=count, hash=digest.hex())
    return True


@dataclass(frozen=True)
class Verified:
    """What came of computing the seals anew."""

    seal_count: int
    entry_count: int
    broken: Sequence[int]
    """The seals that do not fit: a row under them was changed, added or taken away, or the chain was cut."""


# Tells how many seals of how many were looked at; answers whether to go on.
Progress = Callable[[int, int], Awaitable[bool]]


async def verify(database: Database, tell: Progress | None = None) -> Verified:
    """Computes every seal anew, in one view of the database."""
    broken: list[int] = []
    entries = done = 0
    async with database.begin() as tx:
        await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        seals = (await tx.execute(_SEALS)).all()
        expected_id, expected_from, previous = 1, 0, b""
        for seal_id, from_rev, until_rev, row_count, stored in seals:
            count, digest = await _digest(tx, previous, from_rev, until_rev)
            if (seal_id, from_rev, row_count, stored) != (expected_id, expected_from, count, digest):
                broken.append(seal_id)
            # Goes on from what is stored, so that one change does not break all that follows.
            expected_id, expected_from, previous = seal_id + 1, until_rev, stored
            done, entries = done + 1, entries + count
            if tell is not None and not await tell(done, len(seals)):
                break
    return Verified(done, entries, broken)


async def _digest(tx: AsyncConnection, previous: bytes, from_rev: int, until_rev: int) -> tuple[int, bytes]:
    """How many rows there are in a range of transactions, and their hash with the seal before."""
    digest = hashlib.sha256(previous)
    count = 0
    async with tx.stream(_ROWS, {"from_rev": from_rev, "until_rev": until_rev}) as rows:
        async for batch in rows.partitions(_HASH_BATCH):
            for time, *rest in batch:
                line = json.dumps([time.timestamp(), *rest], ensure_ascii=False, sort_keys=True)
                digest.update(line.encode() + b"\n")
            count += len(batch)
    return count, digest.digest()
