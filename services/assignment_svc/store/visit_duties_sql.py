"""The SQL of duties: who owes which customer how many visits in a month, and how much of it is done.

The same as `domain/visit_duties.py` says of one customer, over sets; a property test holds them equal.
"""

# ruff: noqa: S608 -- the texts that are put together are our own

# Until a month is over: from who owns whom now. The amounts are the largest loan at each branch, and the average of
# 30 days, of all branches together, which the primary side may know.
LIVE_DUTIES = """
held AS (
  SELECT o.customer_id, o.branch_id, coalesce(p.staff_id, o.manager_id) AS manager_id, p.staff_id IS NOT NULL AS is_key,
    greatest(o.since_date, CASE WHEN p.staff_id IS NOT NULL
      THEN (p.create_time AT TIME ZONE 'Asia/Shanghai')::date
      ELSE greatest(
        (SELECT max(h.until_date) FROM owner_period h WHERE h.customer_id = o.customer_id
          AND h.branch_id = o.branch_id AND h.until_date >= :first AND h.manager_id IS DISTINCT FROM o.manager_id),
        (SELECT max((h.end_time AT TIME ZONE 'Asia/Shanghai')::date) FROM private_manager_period h
          WHERE h.customer_id = o.customer_id)
      ) END) AS entry_date
  FROM owner o JOIN ownership w USING (customer_id) LEFT JOIN private_manager p USING (customer_id)
  WHERE o.side = 'PRIMARY' AND w.state = 'LIVE' AND NOT w.gone AND coalesce(p.staff_id, o.manager_id) IS NOT NULL
    AND ({live_of})
), totals AS (
  SELECT h.*, bool_or(loan_live) AS has_loan, bool_or(deposit_live) AS has_deposit,
    coalesce(sum(loan_outstanding_minor) FILTER (WHERE loan_live), 0) AS loan_minor,
    div(coalesce(sum(deposit_sum_minor) FILTER (WHERE deposit_live), 0), 30) AS deposit_minor
  FROM held h JOIN branch_facts USING (customer_id)
  GROUP BY h.customer_id, h.branch_id, h.manager_id, h.is_key, h.entry_date
), reached AS (
  SELECT DISTINCT ON (t.customer_id, l.customer_class) t.customer_id, t.branch_id, t.manager_id, t.entry_date,
    l.customer_class, l.visits_per_month, l.phone_percent, l.lobby_percent
  FROM totals t
  CROSS JOIN LATERAL (VALUES ('LOAN', t.loan_minor, t.has_loan), ('DEPOSIT', t.deposit_minor, t.has_deposit),
    ('KEY', t.loan_minor + t.deposit_minor, t.is_key)) AS b (customer_class, balance_minor, applies)
  JOIN visit_duty_line l ON l.version = :version AND l.customer_class = b.customer_class
    AND l.balance_min_minor <= b.balance_minor
  WHERE b.applies
  ORDER BY t.customer_id, l.customer_class, l.balance_min_minor DESC
), strictest AS (
  SELECT DISTINCT ON (customer_id) * FROM reached
  ORDER BY customer_id, visits_per_month DESC, phone_percent, lobby_percent, customer_class COLLATE "C"
), due AS (
  SELECT * FROM (
    SELECT customer_id, branch_id, manager_id, customer_class,
      CASE WHEN entry_date >= :next THEN 0
        WHEN entry_date < :first OR extract(day FROM entry_date) <= :whole_until_day THEN visits_per_month
        ELSE visits_per_month / 2 END AS due_count,
      phone_percent, lobby_percent, entry_date
    FROM strictest
  ) AS counted WHERE due_count > 0
)"""

# Of a month that is over: as it was at its end.
KEPT_DUTIES = """
due AS (
  SELECT customer_id, branch_id, manager_id, customer_class, due_count, phone_percent, lobby_percent, entry_date
  FROM visit_duty d WHERE d.month_date = :first AND ({kept_of})
)"""

# Customer by customer: how many there are the planner cannot guess, and pairs of all of them are too many.
DONE = """, done AS (
  SELECT d.*, coalesce((
    SELECT sum(percent) FROM (
      SELECT max(CASE v.kind WHEN 'VISIT' THEN 100 WHEN 'PHONE' THEN d.phone_percent ELSE d.lobby_percent END)
        AS percent
      FROM visit v
      WHERE v.customer_id = d.customer_id AND v.branch_id = d.branch_id AND v.visit_date >= :first
        AND v.visit_date < :next AND v.state IN ('VALID', 'WEAK') AND v.withdraw_time IS NULL
      GROUP BY v.visit_date
    ) AS best
  ), 0)::integer AS done_percent
  FROM due d
)"""

# What of the month is left from the entry on is cut into parts.
LIST = """
SELECT * FROM (
  SELECT customer_id, branch_id, manager_id, customer_class, due_count, done_percent,
    CASE WHEN done_percent < due_count * 100
      THEN start_date + ((done_percent / 100 + 1) * (:next - start_date) + due_count - 1) / due_count - 1
    END AS next_due_date,
    (SELECT max(v.visit_date) FROM visit v WHERE v.customer_id = c.customer_id AND v.state IN ('VALID', 'WEAK')
      AND v.withdraw_time IS NULL) AS last_visit_date
  FROM (SELECT *, greatest(:first, entry_date) AS start_date FROM done) AS c
) AS listed
WHERE (:with_done OR next_due_date IS NOT NULL) AND customer_id <> ALL (CAST(:near AS text[]))
  AND (coalesce(next_due_date, 'infinity'), coalesce(last_visit_date, '-infinity'), customer_id)
    > (coalesce(CAST(:after_due AS date), CASE WHEN :from_start THEN '-infinity' ELSE 'infinity' END::date),
       coalesce(CAST(:after_last AS date), '-infinity'), :after_id)
ORDER BY coalesce(next_due_date, 'infinity'), coalesce(last_visit_date, '-infinity'), customer_id LIMIT :limit
"""

# More than is due of one customer does not count for another.
BY_MANAGER = """
SELECT manager_id, count(*)::integer AS customer_count, sum(due_count)::integer AS due_count,
  sum(least(done_percent, due_count * 100))::bigint AS done_percent
FROM done GROUP BY manager_id"""

SUMMARIES = f""", owed AS ({BY_MANAGER}
), made AS (
  SELECT staff_id AS manager_id, jsonb_object_agg(state, visit_count) AS state_counts FROM (
    SELECT staff_id, state, count(*) AS visit_count FROM visit
    WHERE branch_id = ANY (CAST(:branch_ids AS text[])) AND visit_date >= :first AND visit_date < :next
      AND withdraw_time IS NULL
    GROUP BY staff_id, state
  ) AS counted GROUP BY staff_id
)
SELECT manager_id, coalesce(customer_count, 0) AS customer_count, coalesce(due_count, 0) AS due_count,
  coalesce(done_percent, 0) AS done_percent, coalesce(state_counts, '{{}}') AS state_counts
FROM owed FULL JOIN made USING (manager_id)
WHERE manager_id > :after ORDER BY manager_id LIMIT :limit
"""

KEEP = """
INSERT INTO visit_duty (customer_id, month_date, branch_id, manager_id, customer_class, due_count, phone_percent,
  lobby_percent, entry_date)
SELECT customer_id, CAST(:first AS date), branch_id, manager_id, customer_class, due_count, phone_percent,
  lobby_percent, entry_date
FROM due ORDER BY customer_id ON CONFLICT DO NOTHING
"""
