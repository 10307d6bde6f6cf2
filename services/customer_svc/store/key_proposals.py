"""Marks by hand: proposed, decided, ended, and let go when their end date has passed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, Integer, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.key_marks import Proposal, ProposalState

FIRST_TIME = datetime.min.replace(tzinfo=UTC)
LAST_TIME = datetime.max.replace(tzinfo=UTC)

_ADD = text(
    "INSERT INTO key_mark_proposals (customer_id, proposal_id, state, reason, end_date, proposer, actor,"
    " decision_reason) VALUES (:customer_id, gen_random_uuid()::text, 'PROPOSED', :reason, :end_date, :proposer,"
    " :proposer, '') RETURNING *"
).bindparams(bindparam("end_date", type_=Date), bindparam("proposer", type_=Text))
_GET = text("SELECT * FROM key_mark_proposals WHERE customer_id = :customer_id AND proposal_id = :proposal_id")
_IN_STATE = text("SELECT * FROM key_mark_proposals WHERE customer_id = :customer_id AND state = CAST(:state AS text)")
_PAGE = text(
    "SELECT * FROM key_mark_proposals WHERE customer_id = :customer_id"
    " AND (create_time, proposal_id) < (:create_time, :proposal_id)"
    " ORDER BY create_time DESC, proposal_id DESC LIMIT :limit"
).bindparams(bindparam("create_time", type_=DateTime(timezone=True)), bindparam("limit", type_=Integer))
_APPROVALS = text(
    "SELECT p.* FROM key_mark_proposals AS p JOIN owners AS o ON o.customer_id = p.customer_id AND o.side = 'PRIMARY'"
    " LEFT JOIN branches AS b ON b.branch_id = o.branch_id"
    " WHERE p.state = 'PROPOSED' AND p.proposer <> :staff_id AND p.end_date >= :day"
    " AND (o.branch_id = :branch_id OR b.parent_id = :branch_id)"
    " AND (p.create_time, p.proposal_id) > (:create_time, :proposal_id)"
    " ORDER BY p.create_time, p.proposal_id LIMIT :limit"
).bindparams(
    bindparam("create_time", type_=DateTime(timezone=True)),
    bindparam("limit", type_=Integer),
    bindparam("day", type_=Date),
    bindparam("branch_id", type_=Text),
)
_MOVE = text(
    "UPDATE key_mark_proposals SET state = :state, actor = :actor, decision_reason = :reason,"
    " update_time = bank_now() WHERE customer_id = :customer_id AND proposal_id = :proposal_id RETURNING *"
)
# Locked in the order of ids, before the statement that decides: somebody may be deciding by hand.
_LOCK_PASSED = text(
    "SELECT customer_id FROM customers WHERE customer_id IN (SELECT customer_id FROM key_mark_proposals"
    " WHERE state IN ('PROPOSED', 'APPROVED') AND end_date < :day) ORDER BY customer_id FOR UPDATE"
).bindparams(bindparam("day", type_=Date))
_EXPIRE = text("""
WITH passed AS (
  UPDATE key_mark_proposals SET state = CASE state WHEN 'PROPOSED' THEN 'LAPSED' ELSE 'EXPIRED' END,
    actor = 'expiry', decision_reason = '', update_time = bank_now()
  WHERE state IN ('PROPOSED', 'APPROVED') AND end_date < :day
  RETURNING customer_id, proposal_id, state
), marked AS (
  UPDATE key_marks AS m SET manual_until_date = NULL,
    since_date = CASE WHEN m.asset OR m.loan THEN m.since_date END
  FROM passed AS p WHERE m.customer_id = p.customer_id AND p.state = 'EXPIRED'
  RETURNING m.customer_id, old.reason AS old_reason, new.reason AS new_reason
), told AS (
  INSERT INTO key_mark_changes (customer_id, kind, old_reason, new_reason, actor, reason, business_date, proposal_id)
  SELECT p.customer_id, p.state, CASE p.state WHEN 'EXPIRED' THEN w.old_reason ELSE m.reason END,
    CASE p.state WHEN 'EXPIRED' THEN w.new_reason ELSE m.reason END, 'expiry', '', :day, p.proposal_id
  FROM passed AS p LEFT JOIN marked AS w USING (customer_id) LEFT JOIN key_marks AS m USING (customer_id)
  ORDER BY p.customer_id
), spread AS (
  UPDATE customers AS c SET key_reason = w.new_reason, key_until_date = NULL,
    rev = CASE WHEN w.new_reason IS NULL THEN pg_current_xact_id() ELSE c.rev END,
    update_time = CASE WHEN w.new_reason IS NULL THEN bank_now() ELSE c.update_time END
  FROM marked AS w WHERE c.customer_id = w.customer_id AND w.old_reason IS DISTINCT FROM w.new_reason
)
SELECT count(*) FROM passed
""").bindparams(bindparam("day", type_=Date))


async def add(tx: AsyncConnection, customer_id: str, reason: str, end_date: date, proposer: str) -> Proposal:
    """Stores a new proposal of a locked customer of whom none waits."""
    values = {"customer_id": customer_id, "reason": reason, "end_date": end_date, "proposer": proposer}
    return _proposal((await tx.execute(_ADD, values)).one())


async def get(conn: AsyncConnection, customer_id: str, proposal_id: str) -> Proposal | None:
    row = (await conn.execute(_GET, {"customer_id": customer_id, "proposal_id": proposal_id})).one_or_none()
    return _proposal(row) if row else None


async def in_state(conn: AsyncConnection, customer_id: str, state: ProposalState) -> Proposal | None:
    """The one proposal of a customer that waits, or the one that holds."""
    assert state in {ProposalState.PROPOSED, ProposalState.APPROVED}, "of other states there may be many"
    row = (await conn.execute(_IN_STATE, {"customer_id": customer_id, "state": state})).one_or_none()
    return _proposal(row) if row else None


async def page(conn: AsyncConnection, customer_id: str, before: tuple[datetime, str], limit: int) -> Sequence[Proposal]:
    """A customer's proposals, the youngest first, from before a place on."""
    values = {"customer_id": customer_id, "create_time": before[0], "proposal_id": before[1], "limit": limit}
    return [_proposal(row) for row in await conn.execute(_PAGE, values)]


async def approvals(
    conn: AsyncConnection, head: tuple[str, str], day: date, after: tuple[datetime, str], limit: int
) -> Sequence[Proposal]:
    """What waits for a head (staff member and branch), the oldest first, from after a place on."""
    staff_id, branch_id = head
    values = {"staff_id": staff_id, "branch_id": branch_id, "day": day}
    place = {"create_time": after[0], "proposal_id": after[1], "limit": limit}
    return [_proposal(row) for row in await conn.execute(_APPROVALS, {**values, **place})]


async def move(tx: AsyncConnection, proposal: Proposal, state: ProposalState, actor: str, reason: str) -> Proposal:
    """Brings a proposal of a locked customer to a state."""
    named = {"customer_id": proposal.customer_id, "proposal_id": proposal.proposal_id}
    row = await tx.execute(_MOVE, {**named, "state": state, "actor": actor, "reason": reason})
    return _proposal(row.one())


async def expire(tx: AsyncConnection, day: date) -> int:
    """Lets go what has passed its end date, says how many; a second run of the same day writes nothing."""
    await tx.execute(_LOCK_PASSED, {"day": day})
    return (await tx.execute(_EXPIRE, {"day": day})).scalar_one()


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(
        customer_id=row.customer_id,
        proposal_id=row.proposal_id,
        state=ProposalState(row.state),
        reason=row.reason,
        end_date=row.end_date,
        proposer=row.proposer,
        create_time=row.create_time,
        actor=row.actor,
        decision_reason=row.decision_reason,
        update_time=row.update_time,
    )
