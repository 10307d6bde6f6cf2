"""Two customers' facts and ownership made one, and two again (domain.md 3, merging duplicates)."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from datetime import date

from sqlalchemy import Date, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.merging import Merging, divide, unite
from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.store.allocate_now import allocate_now
from services.assignment_svc.store.merged_tables import TABLES
from services.assignment_svc.store.stillness import keep_still
from services.assignment_svc.store.tables import OWNER_COLUMNS

_BOTH = "customer_id IN (:survivor_id, :merged_id)"
_KEEP = f"""
INSERT INTO merge_rows (customer_id, merge_id, label, row_key, fate, image)
SELECT :survivor_id, :merge_id, 'owner as it was', jsonb_build_array(customer_id, branch_id), 'ENDED', to_jsonb(o)
FROM owner o WHERE {_BOTH}
UNION ALL
SELECT :survivor_id, :merge_id, 'ownership as it was', jsonb_build_array(customer_id), 'ENDED', to_jsonb(o)
FROM ownership o WHERE {_BOTH}
UNION ALL
SELECT :survivor_id, :merge_id, 'night', '[]', 'ENDED', jsonb_build_object('day', CAST(:day AS date), 'period_id',
  (SELECT coalesce(max(period_id), 0) FROM owner_period))
"""
_OF_MERGE = "r.customer_id = :survivor_id AND r.merge_id = :merge_id"

# His history stays under his own id: periods of one branch would overlap with the survivor's.
_CLOSE_MERGED = f"""
INSERT INTO owner_period ({OWNER_COLUMNS}, until_date)
SELECT {OWNER_COLUMNS}, greatest(from_date, CAST(:day AS date)) FROM owner WHERE customer_id = :merged_id
"""
# At a branch that only he had, its head named the manager: the row goes on, on the secondary side unless the survivor
# had no primary one, as evidence of nothing until allocation has looked at it.
_HAND_ON = f"""
INSERT INTO owner ({OWNER_COLUMNS})
SELECT :survivor_id, branch_id, new_side, CASE WHEN new_side = side THEN rule ELSE 'SECONDARY' END, manager_id,
  named_manager_id, basis, amount_minor, NULL, NULL, false,
  CASE WHEN new_side = side THEN since_date ELSE CAST(:day AS date) END, :day, due_date, 'merge', bank_now()
FROM (
  SELECT o.*, CASE WHEN EXISTS (SELECT FROM owner p WHERE p.customer_id = :survivor_id AND p.side = 'PRIMARY')
    THEN 'SECONDARY' ELSE o.side END AS new_side
  FROM owner o WHERE o.customer_id = :merged_id
) t
WHERE NOT EXISTS (SELECT FROM owner s WHERE s.customer_id = :survivor_id AND s.branch_id = t.branch_id)
"""
_TELL_ROOT = """
UPDATE ownership o SET rev = pg_current_xact_id(), update_time = bank_now(),
  gone = NOT EXISTS (SELECT FROM owner w WHERE w.customer_id = o.customer_id)
WHERE customer_id = ANY (CAST(:customer_ids AS text[]))
"""

# The other's pending transfer binds nobody any more (merged_tables.py), not even if the merge is undone.
_END_TRANSFER = "DELETE FROM ownership_hold WHERE customer_id = :merged_id AND kind = 'TRANSFER'"

# Of two locks in force the older stays.
_LOCKS = f"""
SELECT hold_id, customer_id, branch_id FROM ownership_hold
WHERE kind = 'LOCK' AND {_BOTH} AND (until_date IS NULL OR until_date > coalesce(CAST(:day AS date), '-infinity'))
ORDER BY from_date, create_time, customer_id <> :survivor_id, hold_id
"""
_END_LOCK = f"""
WITH ended AS (DELETE FROM ownership_hold h WHERE {_BOTH} AND hold_id = :hold_id RETURNING to_jsonb(h) AS image),
kept AS (
  INSERT INTO merge_rows (customer_id, merge_id, label, row_key, fate, image)
  SELECT :survivor_id, :merge_id, 'ownership_hold', jsonb_build_array(CAST(:hold_id AS text)), 'ENDED', image
  FROM ended
)
INSERT INTO merge_notice (customer_id, merge_id, branch_id, hold_id)
SELECT DISTINCT :survivor_id, :merge_id, branch_id, :hold_id FROM unnest(CAST(:branch_ids AS text[])) AS branch_id
"""

_CLOSE_CHANGED = f"""
WITH was AS (
  SELECT row_key ->> 0 AS customer_id, row_key ->> 1 AS branch_id, image FROM merge_rows r
  WHERE {_OF_MERGE} AND label = 'owner as it was'
), ended AS (
  DELETE FROM owner o WHERE o.customer_id = :survivor_id
    AND o.branch_id IN (SELECT branch_id FROM was)
    AND NOT EXISTS (SELECT FROM was w WHERE w.image = to_jsonb(o))
  RETURNING {", ".join(f"o.{name.strip()}" for name in OWNER_COLUMNS.split(","))}
)
INSERT INTO owner_period ({OWNER_COLUMNS}, until_date)
SELECT {OWNER_COLUMNS}, greatest(from_date, CAST(:day AS date)) FROM ended
"""
# On the day of the merge itself it is as if nothing had been: no night has told anybody of it.
_UNSAID = f"""
DELETE FROM owner_period WHERE {_BOTH} AND period_id > (
  SELECT (image ->> 'period_id')::bigint FROM merge_rows r WHERE {_OF_MERGE} AND label = 'night'
)
"""
_PUT_BACK = f"""
INSERT INTO owner SELECT (jsonb_populate_record(NULL::owner, r.image || CAST(:since AS jsonb))).* FROM merge_rows r
WHERE {_OF_MERGE} AND r.label = 'owner as it was' ON CONFLICT DO NOTHING
"""
_ROOTS_BACK = f"""
WITH was AS (
  SELECT (jsonb_populate_record(NULL::ownership, r.image)).* FROM merge_rows r
  WHERE {_OF_MERGE} AND r.label = 'ownership as it was'
)
UPDATE ownership o SET state = was.state, business_date = was.business_date, due_date = was.due_date,
  former_date = was.former_date, gone = was.gone, rev = pg_current_xact_id(), update_time = bank_now()
FROM was WHERE was.customer_id = o.customer_id
"""
# Who came to have an owner by the merge alone has none again.
_UNROOT = f"""
UPDATE ownership o SET gone = true, due_date = NULL, rev = pg_current_xact_id(), update_time = bank_now()
WHERE customer_id = :survivor_id AND NOT EXISTS (SELECT FROM owner w WHERE w.customer_id = :survivor_id)
  AND NOT EXISTS (
    SELECT FROM merge_rows r WHERE {_OF_MERGE} AND r.label = 'ownership as it was' AND r.row_key ->> 0 = :survivor_id
  )
"""


def _dated(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("day", type_=Date))


async def hold_still(tx: AsyncConnection, merging: Merging) -> date | None:
    """Keeps nights and imports of facts out until `tx` ends, and returns the day to decide by.

    None before the first night: nobody has an owner yet. Refuses for now if a night or an import is under way.
    """
    day = await keep_still(tx)
    roots = "SELECT FROM ownership WHERE customer_id IN (:survivor_id, :merged_id) ORDER BY customer_id FOR UPDATE"
    await tx.execute(text(roots), vars(merging))
    return day


async def unite_ownership(tx: AsyncConnection, merging: Merging, day: date | None) -> tuple[str, ...]:
    """Gives the survivor the facts, holds and rows of the other; returns the branches that lost or kept a lock."""
    values = {**vars(merging), "day": day}
    await tx.execute(_dated(_KEEP), values)
    told = await _end_younger_lock(tx, merging, day)
    await tx.execute(text(_END_TRANSFER), vars(merging))
    state = await _state_of(tx, merging.survivor_id)
    await unite(tx, TABLES, merging)
    if state is not None:
        same = "UPDATE branch_facts SET customer_state = :state WHERE customer_id = :id AND customer_state <> :state"
        await tx.execute(text(same), {"state": state, "id": merging.survivor_id})
    for statement in (_CLOSE_MERGED, _HAND_ON):
        await tx.execute(_dated(statement), values)
    await tx.execute(text("DELETE FROM owner WHERE customer_id = :merged_id"), vars(merging))
    gone = (
        "UPDATE ownership SET gone = true, due_date = NULL, rev = pg_current_xact_id(), update_time = bank_now()"
        " WHERE customer_id = :merged_id"
    )
    await tx.execute(text(gone), vars(merging))
    return told


async def divide_ownership(tx: AsyncConnection, merging: Merging, day: date | None) -> None:
    """Gives back what `unite_ownership` moved; the survivor's rows of then are in force again."""
    values = {**vars(merging), "day": day}
    await divide(tx, TABLES, merging)
    told = f"SELECT image ->> 'day' FROM merge_rows r WHERE {_OF_MERGE} AND label = 'night'"
    merged_day = (await tx.execute(text(told), vars(merging))).scalar_one()
    is_same_day = merged_day == (day.isoformat() if day else None)
    await tx.execute(_dated(_CLOSE_CHANGED), values)
    if is_same_day:
        await tx.execute(text(_UNSAID), vars(merging))
    since = "{}" if is_same_day else f'{{"from_date": "{day}", "actor": "merge"}}'
    await tx.execute(text(_PUT_BACK), {**vars(merging), "since": since})
    for statement in (_ROOTS_BACK, _UNROOT):
        await tx.execute(text(statement), vars(merging))
    await tx.execute(text(f"DELETE FROM merge_rows r WHERE {_OF_MERGE} AND label <> 'undone'"), vars(merging))
    await tx.execute(text(f"DELETE FROM merge_notice r WHERE {_OF_MERGE}"), vars(merging))


async def allocate_and_tell(tx: AsyncConnection, customer_ids: list[str], day: date, policy: Policy) -> None:
    """Allocates these customers as a night does; the feed tells of them whatever came of it."""
    await allocate_now(tx, sorted(customer_ids), day, policy, "allocation")
    await tx.execute(text(_TELL_ROOT), {"customer_ids": customer_ids})


async def _end_younger_lock(tx: AsyncConnection, merging: Merging, day: date | None) -> tuple[str, ...]:
    values = {**vars(merging), "day": day}
    locks = (await tx.execute(_dated(_LOCKS), values)).all()
    if len({lock.customer_id for lock in locks}) < 2:  # noqa: PLR2004 -- both have one
        return ()
    branch_ids = sorted({lock.branch_id for lock in locks})
    for lock in locks[1:]:
        await tx.execute(text(_END_LOCK), {**vars(merging), "hold_id": lock.hold_id, "branch_ids": branch_ids})
    return tuple(branch_ids)


async def _state_of(tx: AsyncConnection, customer_id: str) -> str | None:
    asked = text("SELECT max(customer_state) FROM branch_facts WHERE customer_id = :customer_id")
    return (await tx.execute(asked, {"customer_id": customer_id})).scalar_one()
