"""The nightly test of key customers for all at once: the twin in SQL of `domain.key_marks.after_night`."""

from datetime import date

from sqlalchemy import BigInteger, Boolean, Date, Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from services.customer_svc.domain.key_marks import KeyPolicy, is_month_end

_ROUTE = """
    CASE WHEN NOT :month_end THEN {before} WHEN NOT {before} THEN coalesce({amount} > {threshold}, false)
      WHEN {amount} IS NULL OR {amount}::numeric * 100 >= {threshold}::numeric * :keep_percent THEN true
      ELSE {below} + 1 < :below_count_max END"""
_BELOW = """
    CASE WHEN NOT :month_end THEN {below} WHEN NOT {before} THEN 0 WHEN {amount} IS NULL THEN {below}
      WHEN {amount}::numeric * 100 >= {threshold}::numeric * :keep_percent OR {below} + 1 >= :below_count_max THEN 0
      ELSE {below} + 1 END"""


# Whoever the night tells of, whoever is on a route, and whom this very night changed before.
_NEXT = """
WITH told AS (
  SELECT customer_id FROM {staging}
  UNION SELECT customer_id FROM key_marks WHERE asset
  UNION SELECT customer_id FROM key_marks WHERE loan
  UNION SELECT customer_id FROM key_marks WHERE night_date = :day
), standing AS (
  SELECT customer_id, m.manual_until_date IS NOT NULL AS manual,
    coalesce(m.asset, false) AS asset, coalesce(m.loan, false) AS loan,
    coalesce(m.asset_below, 0) AS asset_below, coalesce(m.loan_below, 0) AS loan_below,
    coalesce(CASE WHEN m.night_date = :day THEN m.base_asset ELSE m.asset END, false) AS from_asset,
    coalesce(CASE WHEN m.night_date = :day THEN m.base_loan ELSE m.loan END, false) AS from_loan,
    coalesce(CASE WHEN m.night_date = :day THEN m.base_asset_below ELSE m.asset_below END, 0) AS from_asset_below,
    coalesce(CASE WHEN m.night_date = :day THEN m.base_loan_below ELSE m.loan_below END, 0) AS from_loan_below,
    CASE WHEN m.night_date = :day THEN m.base_since_date ELSE m.since_date END AS from_since_date,
    CASE WHEN t.customer_id IS NULL THEN 0 ELSE t.asset_average_minor END AS asset_average_minor,
    CASE WHEN t.customer_id IS NULL THEN 0 ELSE t.loan_outstanding_minor END AS loan_outstanding_minor,
    coalesce(t.loan_overdue, false) AS overdue, coalesce(t.loan_clean, false) AS clean
  FROM told LEFT JOIN key_marks AS m USING (customer_id) LEFT JOIN {staging} AS t USING (customer_id)
), tested AS (
  SELECT *, {to_asset} AS to_asset, {to_asset_below} AS to_asset_below, {to_loan} AS loan_stays_or_enters,
    {to_loan_below} AS loan_count
  FROM standing
), next AS (
  SELECT *, loan_stays_or_enters AND (from_loan OR clean) AND NOT overdue AS to_loan,
    CASE WHEN overdue THEN 0 ELSE loan_count END AS to_loan_below
  FROM tested
), changed AS (
  SELECT * FROM next
  WHERE (asset, loan, asset_below, loan_below) IS DISTINCT FROM (to_asset, to_loan, to_asset_below, to_loan_below)
)"""

_LOCK = """
SELECT customer_id FROM customers WHERE customer_id IN (SELECT customer_id FROM changed) ORDER BY customer_id FOR UPDATE
"""
_APPLY = """
, written AS (
  INSERT INTO key_marks AS m (customer_id, asset, loan, asset_below, loan_below, base_asset, base_loan,
    base_asset_below, base_loan_below, base_since_date, night_date, since_date)
  SELECT customer_id, to_asset, to_loan, to_asset_below, to_loan_below, from_asset, from_loan, from_asset_below,
    from_loan_below, from_since_date, :day,
    CASE WHEN to_asset OR to_loan OR manual THEN coalesce(from_since_date, :day) END
  FROM changed ORDER BY customer_id
  ON CONFLICT (customer_id) DO UPDATE SET asset = excluded.asset, loan = excluded.loan,
    asset_below = excluded.asset_below, loan_below = excluded.loan_below, base_asset = excluded.base_asset,
    base_loan = excluded.base_loan, base_asset_below = excluded.base_asset_below,
    base_loan_below = excluded.base_loan_below, base_since_date = excluded.base_since_date,
    night_date = excluded.night_date, since_date = excluded.since_date
  RETURNING m.customer_id, old.reason AS old_reason, new.reason AS new_reason, new.manual_until_date
), shown AS (
  SELECT w.*, c.asset_average_minor, c.loan_outstanding_minor, c.overdue, c.clean
  FROM written AS w JOIN changed AS c USING (customer_id) WHERE w.old_reason IS DISTINCT FROM w.new_reason
), told_of AS (
  INSERT INTO key_mark_changes (customer_id, kind, old_reason, new_reason, actor, reason, business_date)
  SELECT customer_id, 'TESTED', old_reason, new_reason, 'batch',
    concat_ws(', ', 'asset_average_minor ' || asset_average_minor, 'loan_outstanding_minor ' || loan_outstanding_minor,
      'loan_overdue ' || overdue, 'loan_clean ' || clean, 'policy ' || :version), :day
  FROM shown ORDER BY customer_id
), spread AS (
  UPDATE customers AS c SET key_reason = s.new_reason,
    key_until_date = CASE WHEN s.new_reason = 'MANUAL' THEN s.manual_until_date END,
    rev = CASE WHEN (s.old_reason IS NULL) <> (s.new_reason IS NULL) THEN pg_current_xact_id() ELSE c.rev END,
    update_time = CASE WHEN (s.old_reason IS NULL) <> (s.new_reason IS NULL) THEN bank_now() ELSE c.update_time END
  FROM shown AS s WHERE c.customer_id = s.customer_id
)
SELECT count(*) FROM written
"""
_TESTED = text(
    "INSERT INTO key_test_day AS t (test_date) VALUES (:day) ON CONFLICT (only_row) DO UPDATE"
    " SET test_date = excluded.test_date WHERE t.test_date < excluded.test_date"
).bindparams(bindparam("day", type_=Date))
_POLICY = text(
    "SELECT version, start_date, asset_minor, loan_minor, keep_percent, below_count_max, manual_days_max"
    " FROM key_policies WHERE start_date <= :day ORDER BY start_date DESC, version DESC LIMIT 1"
).bindparams(bindparam("day", type_=Date))


async def policy_on(conn: AsyncConnection, day: date) -> KeyPolicy:
    """The parameters in force on a day."""
    return KeyPolicy(*(await conn.execute(_POLICY, {"day": day})).one())


async def apply_tests(tx: AsyncConnection, staging: str, day: date, policy: KeyPolicy) -> int:
    """Decides a night for everybody and says how many marks it wrote; the same night again writes none.

    `staging` holds the columns of key_tests. Customers learn why they are key customers in the same transaction; their
    place in the feed moves only if they became one or ceased to be one.
    """
    values = {
        "day": day,
        "month_end": is_month_end(day),
        "asset_minor": policy.asset_minor,
        "loan_minor": policy.loan_minor,
        "keep_percent": policy.keep_percent,
        "below_count_max": policy.below_count_max,
    }
    # In the order of ids, as every writer does, and before the second statement looks: hands may be changing marks.
    await tx.execute(_bound(_LOCK, staging), values)
    written = await tx.execute(_bound(_APPLY, staging), {**values, "version": str(policy.version)})
    if is_month_end(day):
        await tx.execute(_TESTED, {"day": day})
    return written.scalar_one()


def _bound(tail: str, staging: str) -> TextClause:
    return text((_DECIDED + tail).replace("{staging}", staging)).bindparams(
        bindparam("day", type_=Date),
        bindparam("month_end", type_=Boolean),
        bindparam("asset_minor", type_=BigInteger),
        bindparam("loan_minor", type_=BigInteger),
        bindparam("keep_percent", type_=Integer),
        bindparam("below_count_max", type_=Integer),
    )


def _filled(rule: str, route: str, amount: str) -> str:
    before = {"before": f"from_{route}", "below": f"from_{route}_below"}
    # asyncpg cannot tell the type of a parameter from a comparison alone.
    return rule.format(**before, amount=amount, threshold=f"CAST(:{route}_minor AS bigint)")


_DECIDED = (
    _NEXT.replace("{to_asset}", _filled(_ROUTE, "asset", "asset_average_minor"))
    .replace("{to_asset_below}", _filled(_BELOW, "asset", "asset_average_minor"))
    .replace("{to_loan}", _filled(_ROUTE, "loan", "loan_outstanding_minor"))
    .replace("{to_loan_below}", _filled(_BELOW, "loan", "loan_outstanding_minor"))
)
