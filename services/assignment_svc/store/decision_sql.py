"""What allocation decides for many customers, as common table expressions: the twin of `domain/allocation.py`.

`settled` has one line per branch, the row as it is (`old_…`) and as it should be (`new_…`); `customer` has one line per
customer. Read it side by side with the pure function: a property test holds the two equal. Each `OFFSET 0` keeps the
planner from writing out the expressions below it once per use, which costs a quarter of the time.

A night looks at candidates in a range of ids, a manual change at the customers of a list: a `Source` says whom. Where
staff are active stands for a night in `staff_duty`; a manual change looks it up: whom it names may have come today.
"""

from services.assignment_svc.store.decision_source import Source

_PICKED = """
picked AS MATERIALIZED (
  SELECT c.customer_id, o.state AS old_state, o.due_date AS old_due_date, o.former_date AS old_former_date,
    o.business_date AS old_business_date, o.rev AS old_rev, o.update_time AS old_update_time,
    coalesce(:day > (o.former_date + make_interval(months => :return_months))::date, false) AS forgotten
  FROM [candidates] c
  LEFT JOIN ownership o ON o.customer_id = c.customer_id AND [o.within]
  WHERE [c.within]
)"""

_HOLDS = """
hold AS MATERIALIZED (
  SELECT *, from_date <= :day AND (end_date IS NULL OR :day < end_date) AS active
  FROM (
    SELECT customer_id, branch_id, hold_id, manager_id, kind, from_date,
      CASE WHEN kind = 'PROTECTION'
        THEN least(until_date, coalesce(last_contact_date, from_date) + (:protection_idle_days + 1))
        ELSE until_date END AS end_date
    FROM ownership_hold
    WHERE [within] AND customer_id IN (SELECT customer_id FROM picked)
  ) h
),
strong AS MATERIALIZED (
  SELECT DISTINCT ON (customer_id) * FROM hold WHERE active AND kind <> 'PROTECTION'
  ORDER BY customer_id, kind, from_date, hold_id
),
weak AS MATERIALIZED (
  SELECT DISTINCT ON (customer_id) * FROM hold WHERE active AND kind = 'PROTECTION'
  ORDER BY customer_id, from_date, hold_id
),
coming AS MATERIALIZED (
  SELECT customer_id, min(CASE WHEN active THEN end_date WHEN from_date > :day THEN from_date END) AS next_date
  FROM hold GROUP BY customer_id
),
override AS MATERIALIZED (
  SELECT customer_id, loan_id, source_officer_id, manager_id FROM officer_override
  WHERE [within]
)"""

# One line per branch that has facts, a row or a hold.
_PLACES = """
place AS (
  SELECT customer_id, branch_id,
    coalesce(f.loan_live, false) AS loan_live, f.loan_id, f.loan_outstanding_minor, f.loan_first_disburse_date,
    f.loan_officer_id, f.loan_end_date,
    coalesce(f.card_live, false) AS card_live, f.card_id, f.card_limit_minor, f.card_first_open_date,
    f.card_manager_id,
    coalesce(f.deposit_live, false) AS deposit_live, f.deposit_sum_minor, f.relation_since_date,
    coalesce(f.loan_live OR f.card_live OR f.deposit_live, false) AS live,
    coalesce(NOT (f.loan_live OR f.card_live OR f.deposit_live)
      AND :day - f.last_live_date <= :run_off_days, false) AS runs_off,
    f.last_live_date + (:run_off_days + 1) AS run_off_end,
    coalesce(:day - f.loan_end_date <= :grace_days, false) AS in_grace,
    f.loan_end_date + (:grace_days + 1) AS grace_end,
    coalesce(f.customer_state <> 'ACTIVE', false) AS frozen_here,
    o.side AS old_side, o.rule AS old_rule, o.manager_id AS old_manager_id, o.named_manager_id AS old_named_id,
    o.basis AS old_basis, o.amount_minor AS old_amount, o.rival_branch_id AS old_rival_id,
    o.rival_amount_minor AS old_rival_amount, o.held_by_margin AS old_by_margin, o.since_date AS old_since_date,
    o.from_date AS old_from_date, o.due_date AS old_row_due_date, o.actor AS old_actor,
    o.create_time AS old_create_time
  FROM (
    SELECT * FROM branch_facts
    WHERE [within] AND customer_id IN (SELECT customer_id FROM picked)
  ) f
  FULL JOIN (
    SELECT * FROM owner
    WHERE [within] AND customer_id IN (SELECT customer_id FROM picked)
  ) o USING (customer_id, branch_id)
  FULL JOIN (
    SELECT customer_id, branch_id FROM strong UNION SELECT customer_id, branch_id FROM weak
  ) h USING (customer_id, branch_id)
),
known AS (
  SELECT place.*, picked.forgotten,
    bool_or(loan_live) OVER c AS any_loan, bool_or(in_grace) OVER c AS any_grace,
    bool_or(card_live) OVER c AS any_card, bool_or(deposit_live) OVER c AS any_deposit,
    bool_or(runs_off) OVER c AS any_run_off, bool_or(frozen_here) OVER c AS frozen,
    bool_or(old_side IS NOT NULL) OVER c AS any_row,
    coalesce(old_side = 'PRIMARY' AND NOT forgotten, false) AS is_incumbent
  FROM place JOIN picked USING (customer_id)
  WINDOW c AS (PARTITION BY customer_id)
)"""

# The first rule that finds a primary branch, who stands in its contest, and what counts there.
_RULES = """
ruled AS (
  SELECT known.*,
    CASE
      WHEN NOT (any_loan OR any_grace OR any_card OR any_deposit OR any_run_off) THEN NULL
      WHEN strong.hold_id IS NOT NULL THEN 'HELD'
      WHEN any_loan THEN 'LOAN'
      WHEN any_grace THEN 'GRACE'
      WHEN weak.hold_id IS NOT NULL THEN 'HELD'
      WHEN any_card THEN 'CARD'
      WHEN any_deposit THEN 'DEPOSIT'
      ELSE 'RUN_OFF'
    END AS rule,
    coalesce(strong.branch_id, weak.branch_id) AS hold_branch_id,
    coalesce(strong.hold_id, weak.hold_id) AS hold_id,
    CASE WHEN strong.hold_id IS NULL THEN weak.manager_id ELSE strong.manager_id END AS hold_manager_id,
    CASE WHEN strong.hold_id IS NULL THEN weak.end_date ELSE strong.end_date END AS hold_end,
    coming.next_date AS hold_next_date
  FROM known
  LEFT JOIN strong USING (customer_id)
  LEFT JOIN weak USING (customer_id)
  LEFT JOIN coming USING (customer_id)
  OFFSET 0
),
entered AS (
  SELECT *,
    CASE rule
      WHEN 'HELD' THEN branch_id = hold_branch_id
      WHEN 'LOAN' THEN loan_live
      WHEN 'GRACE' THEN in_grace
      WHEN 'CARD' THEN card_live
      WHEN 'DEPOSIT' THEN deposit_live
      WHEN 'RUN_OFF' THEN runs_off
      ELSE false
    END AS stands,
    CASE rule
      WHEN 'LOAN' THEN loan_outstanding_minor
      WHEN 'GRACE' THEN (grace_end - date '1970-01-01')::bigint
      WHEN 'CARD' THEN card_limit_minor
      WHEN 'DEPOSIT' THEN deposit_sum_minor
      WHEN 'RUN_OFF' THEN
        CASE WHEN is_incumbent THEN 9223372036854775807 ELSE (run_off_end - date '1970-01-01')::bigint END
    END AS weight,
    CASE rule
      WHEN 'LOAN' THEN loan_first_disburse_date
      WHEN 'CARD' THEN card_first_open_date
      ELSE relation_since_date
    END AS tie_date
  FROM ruled
)"""

# An incumbent who stands defends himself by the margin; in numeric, since amounts times 120 may leave bigint.
_VERDICTS = """
ranked AS (
  SELECT *,
    first_value(branch_id) OVER r AS first_id, first_value(weight) OVER r AS first_weight,
    nth_value(branch_id, 2) OVER r AS second_id, nth_value(weight, 2) OVER r AS second_weight,
    coalesce(nth_value(stands, 2) OVER r, false) AS second_stands,
    max(branch_id) FILTER (WHERE is_incumbent AND stands) OVER r AS incumbent_id,
    max(weight) FILTER (WHERE is_incumbent AND stands) OVER r AS incumbent_weight
  FROM entered
  WINDOW r AS (
    PARTITION BY customer_id
    ORDER BY stands DESC, weight DESC NULLS LAST, (rule = 'GRACE' AND NOT is_incumbent), tie_date, branch_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
  )
),
judged AS (
  SELECT *, rule IN ('LOAN', 'CARD', 'DEPOSIT') AS compared,
    CASE WHEN rule IN ('LOAN', 'CARD', 'DEPOSIT') AND incumbent_id <> first_id
      THEN NOT (coalesce(first_weight, 0) > coalesce(incumbent_weight, 0)
        AND coalesce(first_weight, 0)::numeric * 100 >= coalesce(incumbent_weight, 0)::numeric * :challenge_percent)
      ELSE false END AS stays
  FROM ranked
  OFFSET 0
),
won AS (
  SELECT *,
    CASE WHEN stays THEN incumbent_id ELSE first_id END AS winner_id,
    CASE WHEN stays THEN incumbent_weight ELSE first_weight END AS winner_weight,
    rule IS NOT NULL AND branch_id = CASE WHEN stays THEN incumbent_id ELSE first_id END AS wins,
    stays AND coalesce(first_weight, 0) > coalesce(incumbent_weight, 0) AS by_margin
  FROM judged
  OFFSET 0
)"""

_ROWS = """
wanted AS (
  SELECT won.*,
    CASE
      WHEN frozen AND any_row THEN 'KEPT'
      WHEN rule IS NULL THEN CASE WHEN old_side = 'PRIMARY' THEN 'LAST' ELSE 'NONE' END
      WHEN wins OR live OR runs_off THEN 'DECIDED'
      ELSE 'NONE'
    END AS fate,
    CASE WHEN wins THEN 'PRIMARY' ELSE 'SECONDARY' END AS new_side,
    CASE WHEN wins THEN rule WHEN live THEN 'SECONDARY' ELSE 'RUN_OFF' END AS new_rule,
    CASE
      WHEN wins AND rule = 'HELD' THEN hold_id
      WHEN wins AND NOT compared THEN NULL
      WHEN loan_live THEN won.loan_id
      WHEN card_live THEN card_id
    END AS new_basis,
    CASE
      WHEN wins AND NOT compared THEN NULL
      WHEN loan_live THEN loan_outstanding_minor
      WHEN card_live THEN card_limit_minor
      WHEN deposit_live THEN deposit_sum_minor
    END AS new_amount,
    CASE
      WHEN NOT compared THEN NULL
      WHEN wins THEN CASE WHEN stays THEN first_id WHEN second_stands THEN second_id END
      WHEN stands THEN winner_id
    END AS new_rival_id,
    CASE
      WHEN NOT compared THEN NULL
      WHEN wins THEN CASE WHEN stays THEN first_weight WHEN second_stands THEN second_weight END
      WHEN stands THEN winner_weight
    END AS new_rival_amount,
    wins AND by_margin AS new_by_margin,
    CASE
      WHEN wins AND rule = 'HELD' THEN hold_end
      WHEN wins AND rule = 'GRACE' THEN grace_end
      WHEN wins AND rule = 'RUN_OFF' OR NOT wins AND runs_off THEN run_off_end
    END AS new_due_date,
    CASE WHEN NOT forgotten THEN old_named_id END AS new_named_id,
    coalesce(
      CASE WHEN wins AND rule = 'HELD' THEN hold_manager_id END,
      CASE WHEN loan_live THEN coalesce(v.manager_id, loan_officer_id) END,
      CASE WHEN card_live THEN card_manager_id END,
      CASE WHEN NOT forgotten THEN old_named_id END
    ) AS manager_source_id
  FROM won
  LEFT JOIN override v ON v.customer_id = won.customer_id AND v.loan_id = won.loan_id
    AND v.source_officer_id IS NOT DISTINCT FROM won.loan_officer_id
  OFFSET 0
),
managed AS (
  SELECT wanted.*,
    CASE
      WHEN d.branch_id = wanted.branch_id THEN manager_source_id
      WHEN d.successor_branch_id = wanted.branch_id THEN d.successor_id
    END AS new_manager_id
  FROM wanted LEFT JOIN [duties] d ON d.staff_id = manager_source_id
),
settled AS MATERIALIZED (
  SELECT customer_id, branch_id, fate, forgotten, frozen, any_row, any_loan, in_grace, runs_off, run_off_end,
    grace_end, hold_next_date,
    new_side, new_rule, new_manager_id, new_named_id, new_basis, new_amount, new_rival_id, new_rival_amount,
    new_by_margin, new_due_date,
    old_side, old_rule, old_manager_id, old_named_id, old_basis, old_amount, old_rival_id, old_rival_amount,
    old_by_margin, old_since_date, old_from_date, old_row_due_date, old_actor, old_create_time,
    CASE fate
      WHEN 'KEPT' THEN 'SAME'
      WHEN 'LAST' THEN CASE WHEN old_row_due_date IS NULL THEN 'SAME' ELSE 'CHANGED' END
      WHEN 'NONE' THEN CASE WHEN old_side IS NULL THEN 'SAME' ELSE 'ENDED' END
      ELSE CASE
        WHEN old_side IS NULL THEN 'MADE'
        WHEN NOT forgotten AND old_side = new_side AND old_rule = new_rule AND old_by_margin = new_by_margin
          AND old_manager_id IS NOT DISTINCT FROM new_manager_id AND old_basis IS NOT DISTINCT FROM new_basis
          AND old_row_due_date IS NOT DISTINCT FROM new_due_date THEN 'SAME'
        ELSE 'CHANGED'
      END
    END AS change
  FROM managed
),
customer AS MATERIALIZED (
  SELECT customer_id,
    CASE WHEN bool_or(frozen AND (any_row OR fate = 'DECIDED')) THEN 'FROZEN'
      WHEN bool_or(fate = 'LAST') THEN 'FORMER'
      WHEN bool_or(fate = 'DECIDED') THEN 'LIVE' END AS state,
    least(min(run_off_end) FILTER (WHERE runs_off), min(grace_end) FILTER (WHERE in_grace AND NOT any_loan),
      min(hold_next_date)) AS look_date,
    count(*) FILTER (WHERE change <> 'SAME') AS change_count
  FROM settled GROUP BY customer_id
)"""


def decision(source: Source) -> str:
    """Decides over the customers of a source."""
    return source.put_into(f"{_PICKED},{_HOLDS},{_PLACES},{_RULES},{_VERDICTS},{_ROWS}")
