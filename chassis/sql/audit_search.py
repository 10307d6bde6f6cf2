"""What an auditor asks of the audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import MetaData, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.tables import chassis_tables

_AUDIT = chassis_tables(MetaData()).audit


@dataclass(frozen=True)
class Wanted:
    """Which entries are asked for; None for any."""

    caller: str | None = None
    customer_id: str | None = None
    method: str | None = None
    request_id: str | None = None
    time_min: datetime | None = None
    time_max: datetime | None = None


@dataclass(frozen=True)
class Stored:
    """An entry as it was written, and its place among others of one instant."""

    time: datetime
    audit_id: int
    caller: str
    branch_id: str
    request_id: str
    method: str
    customer_id: str
    detail: Mapping[str, object]


async def search(
    conn: AsyncConnection, wanted: Wanted, before: tuple[datetime, int] | None, limit: int
) -> Sequence[Stored]:
    """The youngest entries first, beginning after the one given."""
    c = _AUDIT.c
    columns = [c[name] for name in Stored.__dataclass_fields__]
    query = select(*columns).order_by(c.time.desc(), c.audit_id.desc()).limit(limit)
    for column, value in (
        (c.caller, wanted.caller),
        (c.customer_id, wanted.customer_id),
        (c.method, wanted.method),
        (c.request_id, wanted.request_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.time_min is not None:
        query = query.where(c.time >= wanted.time_min)
    if wanted.time_max is not None:
        query = query.where(c.time < wanted.time_max)
    if before is not None:
        query = query.where(tuple_(c.time, c.audit_id) < before)
    return [Stored(*row) for row in await conn.execute(query)]
