"""What one customer has at a branch in detail, and by product at the others."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import JSON, Date, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.business import Account, BranchBusiness, Card, Holding, Loan, ProductTotals
from services.customer_svc.domain.indicators import indicators
from services.customer_svc.store.customers import dated
from services.customer_svc.store.figure_columns import FIGURES

_DETAIL = text("""
SELECT
  (SELECT json_agg(x) FROM (
    SELECT account_id, kind, open_date, close_date, balance_minor, maturity_date FROM accounts
    WHERE customer_id = :customer_id AND branch_id = :branch_id ORDER BY open_date, account_id LIMIT 100) x
  ) AS accounts,
  (SELECT json_agg(x) FROM (
    SELECT loan_id, product, principal_minor, outstanding_minor, outstanding_estimated, disburse_date, due_date, state,
      in_arrears, officer_id, revolving, collateral, next_due_date, next_due_minor, overdue_days, overdue_minor,
      interest_arrears_minor, grade, grade_date, last_overdue_date, close_date FROM loans
    WHERE customer_id = :customer_id AND branch_id = :branch_id ORDER BY disburse_date DESC, loan_id LIMIT 100) x
  ) AS loans,
  (SELECT json_agg(x) FROM (
    SELECT card_id, product, limit_minor, open_date, close_date, used_minor, due_date, due_minor, overdue_days,
      instalment_minor, last_use_date FROM cards
    WHERE customer_id = :customer_id AND branch_id = :branch_id ORDER BY open_date DESC, card_id LIMIT 100) x
  ) AS cards,
  (SELECT json_agg(x) FROM (
    SELECT h.product_code, p.display_name, p.category, h.open_date, h.close_date, h.amount_minor, h.maturity_date
    FROM holdings h LEFT JOIN products p ON p.product_id = h.product_code
    WHERE h.customer_id = :customer_id AND h.branch_id = :branch_id
    ORDER BY h.open_date DESC, h.product_code LIMIT 100) x
  ) AS holdings,
  (SELECT to_json(f) FROM customer_branch_figures f WHERE customer_id = :customer_id AND branch_id = :branch_id)
    AS figures
""").columns(accounts=JSON, loans=JSON, cards=JSON, holdings=JSON, figures=JSON)

_PRODUCTS = text("""
SELECT branch_id, product_class, product, count(*) AS open_count,
  CASE WHEN NOT bool_or(amount IS NULL) THEN sum(amount)::bigint END AS amount_minor
FROM (
  SELECT branch_id, 'account' AS product_class, kind AS product, balance_minor AS amount, close_date
  FROM accounts WHERE customer_id = :customer_id
  UNION ALL
  SELECT branch_id, 'loan', product, outstanding_minor, close_date
  FROM loans WHERE customer_id = :customer_id AND state <> 'SETTLED'
  UNION ALL
  SELECT branch_id, 'card', product, limit_minor, close_date FROM cards WHERE customer_id = :customer_id
  UNION ALL
  SELECT h.branch_id, 'holding', coalesce(p.display_name, h.product_code), h.amount_minor, h.close_date
  FROM holdings h LEFT JOIN products p ON p.product_id = h.product_code WHERE h.customer_id = :customer_id
) parts
WHERE (close_date IS NULL OR close_date > :day) AND branch_id IS DISTINCT FROM :branch_id
GROUP BY branch_id, product_class, product ORDER BY branch_id, product_class, product LIMIT 1000
""").bindparams(bindparam("day", type_=Date), bindparam("branch_id", type_=Text))


async def read_detail(conn: AsyncConnection, customer_id: str, branch_id: str, day: date) -> BranchBusiness:
    """A customer's business at one branch in detail as of a business date, without its sums."""
    row = (await conn.execute(_DETAIL, {"customer_id": customer_id, "branch_id": branch_id})).one()
    figures: Mapping[str, Any] = dated(row.figures or {})
    return BranchBusiness(
        branch_id,
        accounts=tuple(Account(**dated(item)) for item in row.accounts or ()),
        loans=tuple(Loan(**dated(item)) for item in row.loans or ()),
        cards=tuple(Card(**dated(item)) for item in row.cards or ()),
        holdings=tuple(Holding(**dated(item)) for item in row.holdings or ()),
        indicators=indicators({name: figures.get(name) for name in FIGURES}, day),
    )


async def read_product_totals(
    conn: AsyncConnection, customer_id: str, without_branch_id: str | None, day: date
) -> Sequence[ProductTotals]:
    """What a customer has by product at each branch but one, as of a business date."""
    values = {"customer_id": customer_id, "branch_id": without_branch_id, "day": day}
    return [ProductTotals(*row) for row in await conn.execute(_PRODUCTS, values)]
