"""Targets of branches and managers, in versions that are never changed."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.score_cards import Indicator
from services.assignment_svc.domain.targets import Line, Period

_COLUMNS = "target_id, branch_id, staff_id, indicator, period, period_date, value, version, actor, create_time"
_LOCK = text("LOCK TABLE target IN SHARE ROW EXCLUSIVE MODE")
_ADD = text(f"""
INSERT INTO target (target_id, branch_id, staff_id, indicator, period, period_date, value, version, actor)
SELECT n.target_id, n.branch_id, n.staff_id, n.indicator, n.period, n.period_date, n.value,
  1 + coalesce((SELECT max(t.version) FROM target t WHERE (t.branch_id, t.staff_id, t.indicator, t.period,
    t.period_date) = (n.branch_id, n.staff_id, n.indicator, n.period, n.period_date)), 0), :actor
FROM unnest(CAST(:target_ids AS text[]), CAST(:branch_ids AS text[]), CAST(:staff_ids AS text[]),
  CAST(:indicators AS text[]), CAST(:periods AS text[]), CAST(:period_dates AS date[]), CAST(:values AS bigint[])
) AS n (target_id, branch_id, staff_id, indicator, period, period_date, value)
RETURNING {_COLUMNS}""")  # noqa: S608 - our own words
_GET = text(f"SELECT {_COLUMNS} FROM target WHERE target_id = :target_id")  # noqa: S608 - our own words
_LIST = text(f"""
SELECT {_COLUMNS} FROM target
WHERE branch_id = :branch_id AND (:opens_all OR staff_id IN ('', :viewer_id))
  AND (:staff_id = '' OR staff_id = :staff_id)
  AND (CAST(:on_date AS date) IS NULL OR (period_date <= :on_date AND :on_date < period_date
    + CASE period WHEN 'MONTH' THEN interval '1 month' WHEN 'QUARTER' THEN interval '3 months'
      ELSE interval '1 year' END))
  AND (CAST(:before_time AS timestamptz) IS NULL
    OR (create_time, target_id) < (CAST(:before_time AS timestamptz), :before_id))
ORDER BY create_time DESC, target_id DESC LIMIT :limit""").bindparams(  # noqa: S608 - our own words
    bindparam("on_date", type_=Date),
    *(bindparam(name, type_=Text) for name in ("branch_id", "viewer_id", "staff_id", "before_id")),
    bindparam("limit", type_=BigInteger),
)
# The youngest versions that may count in a month.
_OF_MONTH = text("""
SELECT DISTINCT ON (branch_id, staff_id, indicator, period) branch_id, staff_id, indicator, period, period_date, value
FROM target WHERE (period, period_date) IN (('MONTH', :month), ('QUARTER', :quarter), ('YEAR', :year))
ORDER BY branch_id, staff_id, indicator, period, version DESC
""").bindparams(*(bindparam(name, type_=Date) for name in ("month", "quarter", "year")))


@dataclass(frozen=True)
class StoredTarget:
    """A version of a target, by whom and when."""

    target_id: str
    line: Line
    version: int
    actor: str
    create_time: datetime


@dataclass(frozen=True)
class Asked:
    """Which targets of a branch to list; without `opens_all` only the branch's own and the viewer's."""

    branch_id: str
    viewer_id: str
    opens_all: bool
    staff_id: str | None = None
    on_date: date | None = None


async def add(tx: AsyncConnection, lines: Sequence[Line], actor: str) -> list[StoredTarget]:
    """Stores new versions, one at a time in the whole system; answers them in the order of the lines."""
    await tx.execute(_LOCK)
    target_ids = [str(uuid.uuid4()) for _ in lines]
    rows = await tx.execute(
        _ADD,
        {
            "target_ids": target_ids,
            "branch_ids": [line.branch_id for line in lines],
            "staff_ids": [line.staff_id or "" for line in lines],
            "indicators": [line.indicator.value for line in lines],
            "periods": [line.period.value for line in lines],
            "period_dates": [line.period_date for line in lines],
            "values": [line.value for line in lines],
            "actor": actor,
        },
    )
    stored = {row.target_id: _target(row) for row in rows}
    return [stored[target_id] for target_id in target_ids]


async def get(conn: AsyncConnection, target_id: str) -> StoredTarget | None:
    row = (await conn.execute(_GET, {"target_id": target_id})).one_or_none()
    return _target(row) if row else None


async def listed(
    conn: AsyncConnection, asked: Asked, before: tuple[datetime, str] | None, limit: int
) -> list[StoredTarget]:
    """Targets of a branch, the youngest first."""
    given = {
        "branch_id": asked.branch_id,
        "viewer_id": asked.viewer_id,
        "opens_all": asked.opens_all,
        "staff_id": asked.staff_id or "",
        "on_date": asked.on_date,
        "before_time": before[0] if before else None,
        "before_id": before[1] if before else "",
        "limit": limit,
    }
    return [_target(row) for row in await conn.execute(_LIST, given)]


async def of_month(conn: AsyncConnection, first: date) -> Mapping[tuple[str, str], Sequence[Line]]:
    """The youngest versions that may count in a month, by branch and staff member."""
    found: dict[tuple[str, str], list[Line]] = {}
    given = {period.value.lower(): period.first(first) for period in Period}
    for row in await conn.execute(_OF_MONTH, given):
        found.setdefault((row.branch_id, row.staff_id), []).append(_line(row))
    return found


async def staff_of(conn: AsyncConnection, branch_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Who works at some branches, as (branch, staff member)."""
    asked = text(
        "SELECT branch_id, staff_id FROM staff WHERE branch_id = ANY (CAST(:branch_ids AS text[])) AND NOT gone"
    )
    rows = await conn.execute(asked, {"branch_ids": list(branch_ids)})
    return {(row.branch_id, row.staff_id) for row in rows}


def _line(row: Row[Any]) -> Line:
    return Line(
        row.branch_id, row.staff_id or None, Indicator(row.indicator), Period(row.period), row.period_date, row.value
    )


def _target(row: Row[Any]) -> StoredTarget:
    return StoredTarget(row.target_id, _line(row), row.version, row.actor, row.create_time)
