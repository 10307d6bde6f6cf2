"""Transfers by file, and which requests their lines became."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.bulk_transfers import BulkTransfer

_ADD = text(
    "INSERT INTO bulk_transfer (bulk_transfer_id, reason, creator, line_count)"
    " VALUES (:bulk_transfer_id, :reason, :creator, :line_count)"
)
_ADD_LINES = text(
    "INSERT INTO bulk_transfer_line (bulk_transfer_id, line, request_id) SELECT :bulk_transfer_id, line, request_id"
    " FROM unnest(CAST(:lines AS integer[]), CAST(:request_ids AS text[])) AS l (line, request_id)"
)
# A silent pull is no part of a file: every request tells how it stands.
_READ = """
SELECT b.*, count(*) FILTER (WHERE r.state = 'PENDING') AS pending_count,
  count(*) FILTER (WHERE r.state = 'APPROVED') AS approved_count,
  count(*) FILTER (WHERE r.state IN ('REFUSED', 'WITHDRAWN', 'EXPIRED')) AS refused_count
FROM ({of}) b JOIN bulk_transfer_line l USING (bulk_transfer_id) JOIN ownership_request r USING (request_id)
GROUP BY b.bulk_transfer_id, b.reason, b.creator, b.line_count, b.create_time
ORDER BY b.create_time DESC, b.bulk_transfer_id DESC
"""
_GET = text(_READ.format(of="SELECT * FROM bulk_transfer WHERE bulk_transfer_id = :id"))
_MADE_BY = text(
    _READ.format(
        of="SELECT * FROM bulk_transfer WHERE creator = :creator AND (:from_start OR (create_time, bulk_transfer_id)"
        " < (:create_time, :id)) ORDER BY create_time DESC, bulk_transfer_id DESC LIMIT :limit"
    )
).bindparams(
    bindparam("create_time", type_=DateTime(timezone=True)),
    bindparam("id", type_=Text),
    bindparam("limit", type_=Integer),
)
_REQUESTS = text(
    "SELECT l.line, l.request_id, r.state, r.customer_id FROM bulk_transfer_line l"
    " JOIN ownership_request r USING (request_id) WHERE l.bulk_transfer_id = :id AND l.line > :after"
    " ORDER BY l.line LIMIT :limit"
).bindparams(bindparam("limit", type_=Integer))


async def add(tx: AsyncConnection, bulk_transfer_id: str, reason: str, creator: str, made: Mapping[int, str]) -> None:
    """Stores a file; `made` tells by line which request it became."""
    values = {"bulk_transfer_id": bulk_transfer_id, "reason": reason, "creator": creator, "line_count": len(made)}
    await tx.execute(_ADD, values)
    lines = {"lines": list(made), "request_ids": list(made.values())}
    await tx.execute(_ADD_LINES, {"bulk_transfer_id": bulk_transfer_id, **lines})


async def get(conn: AsyncConnection, bulk_transfer_id: str) -> BulkTransfer | None:
    """One file with how far its requests are."""
    row = (await conn.execute(_GET, {"id": bulk_transfer_id})).mappings().one_or_none()
    return _transfer(row) if row else None


async def made_by(
    conn: AsyncConnection, creator: str, before: tuple[datetime, str] | None, limit: int
) -> list[BulkTransfer]:
    """The files that somebody sent, the youngest first."""
    values = {
        "creator": creator,
        "from_start": before is None,
        "create_time": before[0] if before else None,
        "id": before[1] if before else "",
        "limit": limit,
    }
    return [_transfer(row) for row in (await conn.execute(_MADE_BY, values)).mappings()]


async def requests_of(
    conn: AsyncConnection, bulk_transfer_id: str, after: int, limit: int
) -> Sequence[tuple[int, str, str, str]]:
    """By line, from after one on: the request, its state, its customer."""
    rows = await conn.execute(_REQUESTS, {"id": bulk_transfer_id, "after": after, "limit": limit})
    return [(row.line, row.request_id, row.state, row.customer_id) for row in rows]


def _transfer(row: Mapping[Any, Any]) -> BulkTransfer:
    return BulkTransfer(
        bulk_transfer_id=row["bulk_transfer_id"],
        reason=row["reason"],
        creator=row["creator"],
        create_time=row["create_time"],
        lines=row["line_count"],
        pending=row["pending_count"],
        approved=row["approved_count"],
        refused=row["refused_count"],
    )
