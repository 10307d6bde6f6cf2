"""Requests whose time is over: asked of the next level, or of nobody any more."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

ACTOR = "escalation"

# One statement does it all, and what it did is no longer due: run twice it finds nothing. Whom another transaction is
# about to answer is left for the next minute.
_ESCALATE = text("""
WITH due AS (
  SELECT customer_id, request_id, state FROM ownership_request
  WHERE state IN ('PENDING', 'SILENT') AND level = 0 AND due_time <= bank_now()
  ORDER BY due_time, request_id LIMIT :limit FOR UPDATE SKIP LOCKED
), raised AS (
  UPDATE ownership_request r SET level = 1, due_time = r.expire_time FROM due d
  WHERE r.customer_id = d.customer_id AND r.request_id = d.request_id
), asked AS (
  UPDATE request_approval a SET level = a.level + 1 FROM due d
  WHERE a.customer_id = d.customer_id AND a.request_id = d.request_id AND a.answer = 'WAITING'
), noted AS (
  INSERT INTO request_transition (customer_id, request_id, event, from_state, to_state, actor, reason)
  SELECT customer_id, request_id, 'ESCALATE', state, state, :actor, '' FROM due ORDER BY request_id
)
SELECT request_id FROM due ORDER BY request_id
""").bindparams(bindparam("limit", type_=Integer))
_EXPIRED = text("""
SELECT customer_id, request_id FROM ownership_request
WHERE state IN ('PENDING', 'SILENT') AND level > 0 AND due_time <= bank_now()
ORDER BY due_time, request_id LIMIT :limit
""").bindparams(bindparam("limit", type_=Integer))
_EXPIRE = text("""
WITH due AS (
  SELECT customer_id, request_id, state FROM ownership_request
  WHERE request_id = ANY (CAST(:request_ids AS text[]))
    AND state IN ('PENDING', 'SILENT') AND level > 0 AND due_time <= bank_now()
  ORDER BY customer_id, request_id FOR UPDATE
), ended AS (
  UPDATE ownership_request r SET state = 'EXPIRED', exclusive = false FROM due d
  WHERE r.customer_id = d.customer_id AND r.request_id = d.request_id
), void AS (
  UPDATE request_approval a SET answer = 'VOID' FROM due d
  WHERE a.customer_id = d.customer_id AND a.request_id = d.request_id AND a.answer = 'WAITING'
), noted AS (
  INSERT INTO request_transition (customer_id, request_id, event, from_state, to_state, actor, reason)
  SELECT customer_id, request_id, 'TIME_OUT', state, 'EXPIRED', :actor, '' FROM due ORDER BY request_id
)
SELECT customer_id, request_id FROM due ORDER BY customer_id, request_id
""")

# Whoever was asked for in vain is nobody's business any more, whether or not the bank knows him.
_FORGET = text("""
UPDATE ownership_request SET display_name = '', masked_id_number = '' WHERE request_id IN (
  SELECT request_id FROM ownership_request
  WHERE kind = 'PULL' AND state IN ('REFUSED', 'WITHDRAWN', 'EXPIRED') AND display_name <> ''
    AND expire_time < bank_now() - make_interval(days => :days) LIMIT :limit
)
""").bindparams(bindparam("days", type_=Integer), bindparam("limit", type_=Integer))


@dataclass(frozen=True)
class Due:
    """A request whose time is over, and its customer."""

    customer_id: str
    request_id: str


async def escalate(tx: AsyncConnection, limit: int) -> list[str]:
    """Asks the next level of requests that nobody answered; some at a time, each once, whoever else does the same."""
    return list((await tx.execute(_ESCALATE, {"actor": ACTOR, "limit": limit})).scalars())


async def overdue(conn: AsyncConnection, limit: int) -> list[Due]:
    """Requests that nobody answered at the last level either."""
    return [Due(row.customer_id, row.request_id) for row in await conn.execute(_EXPIRED, {"limit": limit})]


async def expire(tx: AsyncConnection, due: Sequence[Due]) -> list[Due]:
    """Ends these requests, those that are still open; their customers must be locked before."""
    rows = await tx.execute(_EXPIRE, {"request_ids": [one.request_id for one in due], "actor": ACTOR})
    return [Due(row.customer_id, row.request_id) for row in rows]


async def forget_names(tx: AsyncConnection, days: int, limit: int) -> int:
    """Forgets whom pulls named that came to nothing so many days ago; how many did."""
    return (await tx.execute(_FORGET, {"days": days, "limit": limit})).rowcount
