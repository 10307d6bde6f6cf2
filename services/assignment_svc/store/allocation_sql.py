"""The allocation of many customers in one statement: decides (decision_sql.py) and stores what changed.

Looks at every customer of `allocation_candidate` in a range of ids, or at those of a list. Writes rows made, changed
and ended, the periods that are past by that, and the aggregate roots; what is decided as it stands is not written.
"""

from sqlalchemy import Date, Integer, Text, TextClause, bindparam, text

from services.assignment_svc.store.decision_source import Source
from services.assignment_svc.store.decision_sql import decision

_STORE = """
made AS (
  INSERT INTO owner (customer_id, branch_id, side, rule, manager_id, named_manager_id, basis, amount_minor,
    rival_branch_id, rival_amount_minor, held_by_margin, since_date, from_date, due_date, actor, create_time)
  SELECT customer_id, branch_id, new_side, new_rule, new_manager_id, new_named_id, new_basis, new_amount,
    new_rival_id, new_rival_amount, new_by_margin, :day, :day, new_due_date, [actor], (SELECT bank_now())
  FROM settled WHERE change = 'MADE' ORDER BY customer_id, branch_id
),
closed AS (
  INSERT INTO owner_period (customer_id, branch_id, side, rule, manager_id, named_manager_id, basis, amount_minor,
    rival_branch_id, rival_amount_minor, held_by_margin, since_date, from_date, due_date, actor, create_time,
    until_date)
  SELECT customer_id, branch_id, old_side, old_rule, old_manager_id, old_named_id, old_basis, old_amount,
    old_rival_id, old_rival_amount, old_by_margin, old_since_date, old_from_date, old_row_due_date, old_actor,
    old_create_time, :day
  FROM settled WHERE change IN ('CHANGED', 'ENDED') ORDER BY customer_id, branch_id
),
changed AS (
  UPDATE owner o SET side = s.new_side, rule = s.new_rule, manager_id = s.new_manager_id,
    named_manager_id = s.new_named_id, basis = s.new_basis, amount_minor = s.new_amount,
    rival_branch_id = s.new_rival_id, rival_amount_minor = s.new_rival_amount, held_by_margin = s.new_by_margin,
    since_date = CASE WHEN s.new_side = s.old_side AND NOT s.forgotten THEN s.old_since_date ELSE :day END,
    from_date = :day, due_date = s.new_due_date, actor = [actor], create_time = (SELECT bank_now())
  FROM settled s
  WHERE s.change = 'CHANGED' AND s.fate = 'DECIDED' AND o.customer_id = s.customer_id AND o.branch_id = s.branch_id
    AND [o.within]
),
left_last AS (
  UPDATE owner o SET due_date = NULL, from_date = :day, actor = [actor], create_time = (SELECT bank_now())
  FROM settled s
  WHERE s.change = 'CHANGED' AND s.fate = 'LAST' AND o.customer_id = s.customer_id AND o.branch_id = s.branch_id
    AND [o.within]
),
ended AS (
  DELETE FROM owner o USING settled s
  WHERE s.change = 'ENDED' AND o.customer_id = s.customer_id AND o.branch_id = s.branch_id
    AND [o.within]
),
rooted AS (
  INSERT INTO ownership AS t (customer_id, state, business_date, due_date, former_date, rev, update_time)
  SELECT customer_id, state, CASE WHEN shows THEN :day ELSE old_business_date END, due_date, former_date,
    CASE WHEN shows THEN (SELECT pg_current_xact_id()) ELSE old_rev END,
    CASE WHEN shows THEN (SELECT bank_now()) ELSE old_update_time END
  FROM (
    SELECT customer_id, state, old_state, old_rev, old_business_date, old_update_time, old_due_date, old_former_date,
      c.change_count > 0 OR state IS DISTINCT FROM old_state AS shows,
      CASE WHEN state = 'LIVE' THEN look_date END AS due_date,
      CASE state WHEN 'FORMER' THEN coalesce(old_former_date, :day) WHEN 'FROZEN' THEN old_former_date END
        AS former_date
    FROM customer c JOIN picked USING (customer_id)
  ) s
  WHERE state IS NOT NULL
    AND (shows OR due_date IS DISTINCT FROM old_due_date OR former_date IS DISTINCT FROM old_former_date)
  ORDER BY customer_id
  ON CONFLICT (customer_id) DO UPDATE SET state = excluded.state, business_date = excluded.business_date,
    due_date = excluded.due_date, former_date = excluded.former_date, rev = excluded.rev, gone = false,
    update_time = excluded.update_time
)
SELECT (SELECT count(*) FROM picked) AS customer_count,
  count(*) FILTER (WHERE change_count > 0) AS changed_customer_count,
  coalesce(sum(change_count), 0)::bigint AS changed_row_count
FROM customer"""


_PARAMETERS = ("grace_days", "run_off_days", "challenge_percent", "return_months", "protection_idle_days")


# Where a staff member is active on a day, and his successor likewise.
DUTIES = """
SELECT s.staff_id, CASE WHEN works(s) THEN s.branch_id END AS branch_id, n.staff_id AS successor_id,
  CASE WHEN works(n) THEN n.branch_id END AS successor_branch_id
FROM staff s LEFT JOIN staff n ON n.staff_id = s.successor_id
""".replace(
    "works(s)",
    "coalesce(s.active_from_date, '-infinity') <= :day AND coalesce(s.active_until_date, 'infinity') >= :day",
).replace(
    "works(n)",
    "coalesce(n.active_from_date, '-infinity') <= :day AND coalesce(n.active_until_date, 'infinity') >= :day",
)
_NAMED = Source(
    '(SELECT unnest(CAST(:customer_ids AS text[])) COLLATE "C" AS customer_id)',
    within="{0}customer_id = ANY (CAST(:customer_ids AS text[]))",
    duties=f"({DUTIES})",
    actor="CAST(:actor AS text)",
)


def _storing(source: Source) -> str:
    return f"WITH{decision(source)},{source.put_into(_STORE)}"


def _typed(statement: str) -> TextClause:
    parameters = (bindparam(name, type_=Integer) for name in _PARAMETERS)
    return text(statement).bindparams(bindparam("day", type_=Date), *parameters)


ALLOCATE = _typed(_storing(Source("allocation_candidate"))).bindparams(
    bindparam("after", type_=Text), bindparam("until", type_=Text)
)
# The customers of a list, in the name of whoever changed what is decided over.
ALLOCATE_NAMED = _typed(_storing(_NAMED))
