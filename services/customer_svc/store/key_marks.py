"""Key marks as they stand, and their history; marks by hand change them here, nights in `key_nights`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Date, Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.key_marks import KeyMark, KeyMarkChange, KeyReason

_READ = text("""
SELECT m.reason, m.since_date, (SELECT test_date FROM key_test_day) AS test_date,
  coalesce(m.asset_below, 0) AS asset_below, coalesce(m.loan_below, 0) AS loan_below, m.manual_until_date,
  (SELECT p.proposal_id FROM key_mark_proposals AS p WHERE p.customer_id = c.customer_id AND p.state = 'PROPOSED')
    AS pending_id
FROM customers AS c LEFT JOIN key_marks AS m USING (customer_id) WHERE c.customer_id = :customer_id
""")
# `old` and `new` are the row before and after: the reason follows from its columns.
_SET_MANUAL = text("""
WITH written AS (
  INSERT INTO key_marks AS m (customer_id, manual_until_date, since_date)
  VALUES (:customer_id, :until_date, CASE WHEN CAST(:until_date AS date) IS NOT NULL THEN CAST(:day AS date) END)
  ON CONFLICT (customer_id) DO UPDATE SET manual_until_date = excluded.manual_until_date,
    since_date = CASE WHEN m.asset OR m.loan OR excluded.manual_until_date IS NOT NULL
      THEN coalesce(m.since_date, CAST(:day AS date)) END
  RETURNING m.customer_id, old.reason AS old_reason, new.reason AS new_reason, new.manual_until_date
), spread AS (
  UPDATE customers AS c SET key_reason = w.new_reason,
    key_until_date = CASE WHEN w.new_reason = 'MANUAL' THEN w.manual_until_date END,
    rev = CASE WHEN (w.old_reason IS NULL) <> (w.new_reason IS NULL) THEN pg_current_xact_id() ELSE c.rev END,
    update_time = CASE WHEN (w.old_reason IS NULL) <> (w.new_reason IS NULL) THEN bank_now() ELSE c.update_time END
  FROM written AS w WHERE c.customer_id = w.customer_id
)
SELECT old_reason, new_reason FROM written
""").bindparams(bindparam("until_date", type_=Date), bindparam("day", type_=Date))
_REASON = text("SELECT reason FROM key_marks WHERE customer_id = :customer_id")
_CHANGED = text("""
INSERT INTO key_mark_changes (customer_id, kind, old_reason, new_reason, actor, reason, business_date, proposal_id)
VALUES (:customer_id, :kind, :old_reason, :new_reason, :actor, :reason, :business_date, :proposal_id)
""").bindparams(
    *(bindparam(name, type_=Text) for name in ("old_reason", "new_reason", "proposal_id")),
    bindparam("business_date", type_=Date),
)
_CHANGES = text(
    "SELECT change_id, kind, old_reason, new_reason, actor, reason, business_date, create_time, proposal_id"
    " FROM key_mark_changes WHERE customer_id = :customer_id AND change_id < :before"
    " ORDER BY change_id DESC LIMIT :limit"
).bindparams(bindparam("limit", type_=Integer))
# The few who have a private manager first, and each of them looked up: to find nobody, the planner would go through all
# owners, or all customers, in the order of ids.
_OUTLIVED = text(
    "WITH kept AS MATERIALIZED (SELECT customer_id, private_manager_id FROM owners"
    " WHERE private_manager_id IS NOT NULL AND customer_id > :after)"
    " SELECT k.customer_id, k.private_manager_id FROM kept AS k JOIN LATERAL"
    " (SELECT key_reason FROM customers AS c WHERE c.customer_id = k.customer_id OFFSET 0) AS c ON true"
    " WHERE c.key_reason IS NULL ORDER BY k.customer_id LIMIT :limit"
).bindparams(bindparam("after", type_=Text), bindparam("limit", type_=Integer))


@dataclass(frozen=True)
class Happened:
    """What a hand did to a customer's mark."""

    customer_id: str
    kind: str
    actor: str
    reason: str
    business_date: date
    proposal_id: str


async def read(conn: AsyncConnection, customer_id: str) -> KeyMark | None:
    """A customer's key mark; None if there is no such customer."""
    row = (await conn.execute(_READ, {"customer_id": customer_id})).one_or_none()
    if row is None:
        return None
    return KeyMark(
        customer_id,
        KeyReason(row.reason) if row.reason else None,
        row.since_date,
        row.test_date,
        row.asset_below,
        row.loan_below,
        row.manual_until_date,
        row.pending_id,
    )


async def set_manual(tx: AsyncConnection, happened: Happened, until_date: date | None) -> None:
    """Makes a mark by hand hold until a day, or no more (None); tells the locked customer and the history."""
    values = {"customer_id": happened.customer_id, "until_date": until_date, "day": happened.business_date}
    old, new = (await tx.execute(_SET_MANUAL, values)).one()
    await tx.execute(_CHANGED, {**vars(happened), "old_reason": old, "new_reason": new})


async def add_change(tx: AsyncConnection, happened: Happened) -> None:
    """Tells the history of a step that changes nothing of the mark itself."""
    reason = (await tx.execute(_REASON, {"customer_id": happened.customer_id})).scalar_one_or_none()
    await tx.execute(_CHANGED, {**vars(happened), "old_reason": reason, "new_reason": reason})


async def changes(conn: AsyncConnection, customer_id: str, before: int, limit: int) -> Sequence[KeyMarkChange]:
    """The changes of a customer's mark, the youngest first, from before an id on."""
    rows = await conn.execute(_CHANGES, {"customer_id": customer_id, "before": before, "limit": limit})
    return [
        KeyMarkChange(
            change_id=row.change_id,
            kind=row.kind,
            old_reason=KeyReason(row.old_reason) if row.old_reason else None,
            new_reason=KeyReason(row.new_reason) if row.new_reason else None,
            actor=row.actor,
            reason=row.reason,
            business_date=row.business_date,
            create_time=row.create_time,
            proposal_id=row.proposal_id,
        )
        for row in rows
    ]


async def outlived_private_managers(conn: AsyncConnection, after: str, limit: int) -> Sequence[tuple[str, str]]:
    """Customers who have a private manager and are no key customers, with him, by id from `after` on."""
    rows = await conn.execute(_OUTLIVED, {"after": after, "limit": limit})
    return [(row.customer_id, row.private_manager_id) for row in rows]
