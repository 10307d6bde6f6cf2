"""Customer facts in the order of their last change, for the feed (design 4.6)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.facts import CustomerFact

FEED = "customer_facts"

_PAGE = text("""
SELECT c.rev, c.customer_id, c.gone, c.customer_type, c.state, c.key_reason IS NOT NULL AS key_customer,
  (SELECT m.survivor_id FROM merged_customers m WHERE m.customer_id = c.customer_id) AS merged_into,
  (SELECT json_agg(json_build_array(a.account_id, a.branch_id) ORDER BY a.account_id)
    FROM accounts a WHERE a.customer_id = c.customer_id) AS accounts,
  EXISTS (SELECT FROM loans l WHERE l.customer_id = c.customer_id AND l.state <> 'SETTLED' AND l.close_date IS NULL)
    AS loan_live
FROM customers c
WHERE (c.rev, c.customer_id) > (CAST(CAST(:rev AS text) AS xid8), :key)
  AND c.rev < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY c.rev, c.customer_id LIMIT :limit
""").columns(accounts=JSON)


async def read_page(tx: AsyncConnection, rev: int, key: str, limit: int) -> Sequence[tuple[int, str, CustomerFact]]:
    """Facts after a place in the feed, none of which a running transaction could still push others before."""
    rows = await tx.execute(_PAGE, {"rev": str(rev), "key": key, "limit": limit})
    return [(int(row.rev), row.customer_id, _fact(row)) for row in rows]


def _fact(row: Row[Any]) -> CustomerFact:
    accounts = [(account_id, branch_id) for account_id, branch_id in row.accounts or ()]
    facts = (row.customer_type, row.state, accounts, row.loan_live, row.key_customer)
    return CustomerFact(row.customer_id, row.gone, *facts, merged_into=row.merged_into)
