"""Deposits by month, over the bank and at one branch."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Date, Numeric, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.calendar import months_before
from services.customer_svc.domain.series import MONTHS_MAX, MonthBalance

_DATES = (bindparam("before", type_=Date), bindparam("day", type_=Date))
# A branch of which a value is unknown makes it unknown over the bank; so does one with an account in the month and no
# row, which means that neither is known there. Sums may be larger than one amount.
_TOTAL = (
    text("""
SELECT month_date, CASE WHEN NOT bool_or(end_minor IS NULL) THEN sum(end_minor) END AS end_minor,
  CASE WHEN NOT bool_or(average_minor IS NULL) THEN sum(average_minor) END AS average_minor
FROM monthly_balances m WHERE customer_id = :customer_id AND month_date > :before AND month_date <= :day
  AND NOT EXISTS (
    SELECT FROM accounts a WHERE a.customer_id = :customer_id
      AND a.open_date <= least(m.month_date + interval '1 month' - interval '1 day', :day)
      AND (a.close_date IS NULL OR a.close_date > m.month_date)
      AND NOT EXISTS (SELECT FROM monthly_balances b WHERE b.customer_id = a.customer_id
        AND b.branch_id = a.branch_id AND b.month_date = m.month_date))
GROUP BY month_date HAVING NOT bool_or(end_minor IS NULL) OR NOT bool_or(average_minor IS NULL) ORDER BY month_date
""")
    .bindparams(*_DATES)
    .columns(month_date=Date, end_minor=Numeric, average_minor=Numeric)
)
_OWN = text("""
SELECT month_date, end_minor, average_minor FROM monthly_balances
WHERE customer_id = :customer_id AND branch_id = :branch_id AND month_date > :before AND month_date <= :day
  AND coalesce(end_minor, average_minor) IS NOT NULL ORDER BY month_date
""").bindparams(*_DATES, bindparam("branch_id", type_=Text))


async def read_total(conn: AsyncConnection, customer_id: str, day: date) -> Sequence[MonthBalance]:
    """The last months up to a business date, over all branches."""
    rows = await conn.execute(_TOTAL, {"customer_id": customer_id, **_dates(day)})
    return [MonthBalance(month, _whole(end), _whole(average)) for month, end, average in rows]


async def read_own(conn: AsyncConnection, customer_id: str, branch_id: str, day: date) -> Sequence[MonthBalance]:
    """The last months up to a business date, at one branch."""
    rows = await conn.execute(_OWN, {"customer_id": customer_id, "branch_id": branch_id, **_dates(day)})
    return [MonthBalance(*row) for row in rows]


def _dates(day: date) -> dict[str, date]:
    return {"before": months_before(day.replace(day=1), MONTHS_MAX), "day": day}


def _whole(amount: object) -> int | None:
    return None if amount is None else int(str(amount))
