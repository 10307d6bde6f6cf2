"""Who answers for the sides of requests: desks on the way up from a branch, and who sits at which (domain.md 3)."""

# ruff: noqa: S608 -- the words in statements are our own

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Date, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.approvals import Seat

# Deeper than any tree of branches; one that runs in a circle ends here.
_LEVELS_MAX = 32
_ACTIVE = """NOT {0}.gone AND coalesce({0}.active_from_date, '-infinity') <= :day
    AND coalesce({0}.active_until_date, 'infinity') >= :day"""
_IS_HEAD = f"'BRANCH_HEAD' = ANY ({{0}}.roles) AND {_ACTIVE}"

# As `domain.approvals.desk_of` decides it, for many sides at once.
_SEAT = f"""
WITH RECURSIVE waiting AS (
  SELECT a.customer_id, a.request_id, a.side, a.branch_id, a.level, r.creator,
    r.kind IN ('LOCK', 'UNLOCK') AS has_upper
  FROM request_approval a JOIN ownership_request r USING (customer_id, request_id)
  WHERE a.answer = 'WAITING' AND {{which}}
), way AS (
  SELECT customer_id, request_id, side, creator, level, branch_id AS at, 0 AS depth FROM waiting
  UNION ALL
  SELECT w.customer_id, w.request_id, w.side, w.creator, w.level, b.parent_id, w.depth + 1
  FROM way w JOIN branch b ON b.branch_id = w.at WHERE b.parent_id IS NOT NULL AND w.depth < {_LEVELS_MAX}
), rung AS (
  SELECT w.*, least(w.level, max(w.depth) OVER (PARTITION BY w.request_id, w.side)) AS start, EXISTS (
    SELECT FROM staff h WHERE h.branch_id = w.at AND h.staff_id NOT IN (w.creator, w.customer_id)
      AND NOT EXISTS (SELECT FROM staff_relation k WHERE k.customer_id = w.customer_id AND k.staff_id = h.staff_id)
      AND {_IS_HEAD.format("h")}
  ) AS manned
  FROM way w
), desk AS (
  SELECT DISTINCT ON (request_id, side) request_id, side, at, depth FROM rung WHERE manned
  ORDER BY request_id, side, depth < start, abs(depth - start)
), upper AS (
  SELECT DISTINCT ON (r.request_id, r.side) r.request_id, r.side, r.at
  FROM rung r JOIN desk d ON d.request_id = r.request_id AND d.side = r.side AND r.depth > d.depth
  WHERE r.manned ORDER BY r.request_id, r.side, r.depth
), found AS (
  SELECT w.customer_id, w.request_id, w.side, d.at AS desk, CASE WHEN w.has_upper THEN u.at END AS upper_desk
  FROM waiting w LEFT JOIN desk d USING (request_id, side) LEFT JOIN upper u USING (request_id, side)
)
UPDATE request_approval a SET desk_branch_id = f.desk, upper_desk_branch_id = f.upper_desk FROM found f
WHERE a.customer_id = f.customer_id AND a.request_id = f.request_id AND a.side = f.side
  AND (a.desk_branch_id, a.upper_desk_branch_id) IS DISTINCT FROM (f.desk, f.upper_desk)
"""
_SEATS = f"""
SELECT s.branch_id, s.staff_id AS head_id FROM staff s WHERE s.staff_id = :staff_id AND {_IS_HEAD.format("s")}
UNION ALL
SELECT d.branch_id, d.head_id
FROM delegation d
JOIN staff h ON h.staff_id = d.head_id AND h.branch_id = d.branch_id AND {_IS_HEAD.format("h")}
JOIN staff s ON s.staff_id = d.delegate_id AND s.branch_id = d.branch_id AND {_ACTIVE.format("s")}
WHERE d.delegate_id = :staff_id AND :day BETWEEN d.from_date AND d.until_date AND d.end_time IS NULL
ORDER BY 1, 2
"""


def _dated(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("day", type_=Date))


_SEAT_ALL = _dated(_SEAT.format(which="r.state IN ('PENDING', 'SILENT')"))
_SEAT_SOME = _dated(_SEAT.format(which="a.request_id = ANY (CAST(:request_ids AS text[]))"))
_SEATS_OF = _dated(_SEATS)


async def seat(tx: AsyncConnection, day: date, request_ids: Sequence[str] | None = None) -> int:
    """Finds who answers now for sides that have not answered, of some requests or of all; how many changed."""
    if request_ids is None:
        return (await tx.execute(_SEAT_ALL, {"day": day})).rowcount
    return (await tx.execute(_SEAT_SOME, {"day": day, "request_ids": list(request_ids)})).rowcount


async def seats_of(conn: AsyncConnection, staff_id: str, day: date) -> tuple[Seat, ...]:
    """Where a member of the staff answers on a day."""
    rows = await conn.execute(_SEATS_OF, {"staff_id": staff_id, "day": day})
    return tuple(Seat(row.branch_id, row.head_id) for row in rows)
