"""Who stands at the head of a branch."""

from datetime import date

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

_HEADED = text("""
WITH RECURSIVE up AS (
  SELECT CAST(:branch_id AS text) COLLATE "C" AS branch_id, 0 AS steps
  UNION ALL
  SELECT b.parent_id, up.steps + 1 FROM up JOIN branch b USING (branch_id)
  WHERE b.parent_id IS NOT NULL AND up.steps < 32
)
SELECT up.branch_id FROM up WHERE EXISTS (
  SELECT FROM staff h
  WHERE h.branch_id = up.branch_id AND 'BRANCH_HEAD' = ANY (h.roles) AND NOT h.gone
    AND coalesce(h.active_from_date, '-infinity') <= :day AND coalesce(h.active_until_date, 'infinity') >= :day
)
ORDER BY up.steps LIMIT 1
""").bindparams(bindparam("day", type_=Date))


async def headed_branch(conn: AsyncConnection, branch_id: str, day: date) -> str | None:
    """The branch whose active head answers for this one: itself, or the nearest above that has one."""
    return (await conn.execute(_HEADED, {"branch_id": branch_id, "day": day})).scalar_one_or_none()
