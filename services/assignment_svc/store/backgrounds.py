"""What stands behind customers' rows of ownership now: facts, holds, overrides, and who named whom."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from services.assignment_svc.domain.explanation import Background, Naming
from services.assignment_svc.domain.ownership import (
    BranchFacts,
    LiveCard,
    LiveLoan,
    OfficerOverride,
)
from services.assignment_svc.store.protections import hold_of

_OF = "WHERE customer_id = ANY (CAST(:customer_ids AS text[]))"
_FACTS = text(f"SELECT * FROM branch_facts {_OF}")  # noqa: S608 -- our own words
_HOLDS = text(f"SELECT * FROM ownership_hold {_OF}")  # noqa: S608 -- our own words
_OVERRIDES = text(f"SELECT * FROM officer_override {_OF}")  # noqa: S608 -- our own words
# Who named by hand whoever is named now.
_NAMED_BY_HAND = text(
    """
SELECT DISTINCT ON (c.customer_id, c.branch_id) c.customer_id, c.branch_id, c.actor, c.create_time, c.kind
FROM ownership_change c JOIN owner o
  ON o.customer_id = c.customer_id AND o.branch_id = c.branch_id AND o.named_manager_id = c.to_manager_id
WHERE c.customer_id = ANY (CAST(:customer_ids AS text[])) AND c.undone_by IS NULL
  AND c.kind IN ('ASSIGN', 'CLAIM', 'TRANSFER', 'UNDO')
ORDER BY c.customer_id, c.branch_id, c.create_time DESC, c.change_id
"""
)
# Of whom no change tells, the oldest row in an unbroken run of rows with the manager who is named now.
_NAMINGS = text(
    f"""
WITH known AS (
  SELECT customer_id, branch_id, named_manager_id, actor, from_date, create_time, NULL::bigint AS period_id
  FROM owner {_OF} AND named_manager_id IS NOT NULL
  UNION ALL
  SELECT customer_id, branch_id, named_manager_id, actor, from_date, create_time, period_id
  FROM owner_period {_OF}
), ranked AS (
  SELECT *, count(*) FILTER (WHERE is_other) OVER w AS others_since FROM (
    SELECT *, named_manager_id IS DISTINCT FROM first_value(named_manager_id) OVER n AS is_other,
      first_value(period_id) OVER n IS NULL AS is_current
    FROM known
    WINDOW n AS (PARTITION BY customer_id, branch_id ORDER BY period_id DESC NULLS FIRST)
  ) k WINDOW w AS (PARTITION BY customer_id, branch_id ORDER BY period_id DESC NULLS FIRST)
)
SELECT DISTINCT ON (customer_id, branch_id) customer_id, branch_id, actor, from_date FROM ranked
WHERE others_since = 0 AND is_current ORDER BY customer_id, branch_id, period_id NULLS LAST
"""  # noqa: S608 -- our own words
)


async def of_customers(conn: AsyncConnection, customer_ids: Sequence[str]) -> dict[str, Background]:
    """The backgrounds of customers; one without anything has an empty one."""
    ids = {"customer_ids": list(customer_ids)}
    found = {customer_id: Background({}, {}) for customer_id in customer_ids}
    for row in await conn.execute(_FACTS, ids):
        behind = found[row.customer_id]
        found[row.customer_id] = replace(behind, facts={**behind.facts, row.branch_id: _facts(row)})
    for row in await conn.execute(_NAMINGS, ids):
        behind = found[row.customer_id]
        naming = Naming(row.actor, row.from_date)
        found[row.customer_id] = replace(behind, namings={**behind.namings, row.branch_id: naming})
    for row in await conn.execute(_NAMED_BY_HAND, ids):
        behind = found[row.customer_id]
        naming = Naming(row.actor, clock.bank_date(row.create_time), claimed=row.kind == "CLAIM")
        found[row.customer_id] = replace(behind, namings={**behind.namings, row.branch_id: naming})
    for row in await conn.execute(_HOLDS, ids):
        behind = found[row.customer_id]
        found[row.customer_id] = replace(behind, holds=(*behind.holds, hold_of(row)))
    for row in await conn.execute(_OVERRIDES, ids):
        behind = found[row.customer_id]
        override = OfficerOverride(row.loan_id, row.source_officer_id, row.manager_id)
        found[row.customer_id] = replace(behind, overrides=(*behind.overrides, override))
    return found


def _facts(row: Row[Any]) -> BranchFacts:
    loan = card = None
    if row.loan_live:
        loan = LiveLoan(row.loan_id, row.loan_outstanding_minor, row.loan_first_disburse_date, row.loan_officer_id)
    if row.card_live:
        card = LiveCard(row.card_id, row.card_limit_minor, row.card_first_open_date, row.card_manager_id)
    return BranchFacts(
        branch_id=row.branch_id,
        loan=loan,
        loan_end_date=row.loan_end_date,
        card=card,
        deposit_live=row.deposit_live,
        deposit_sum_minor=row.deposit_sum_minor,
        relation_since_date=row.relation_since_date,
        # Empty while anything is live, when nobody asks for it.
        last_live_date=row.last_live_date or row.relation_since_date,
    )
