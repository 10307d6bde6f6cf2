"""The statement that shares out the credit for a range of customers over a month: domain/credit.py for all at once.

Time is cut where anything changes: a row of ownership, a balance, an interception, a custody. What is the same
between two cuts is counted once, by its days.
"""

from sqlalchemy import Date, Text, bindparam, text

_IN_RANGE = "customer_id > :after AND customer_id <= :until"

# Rows as they were on some day of the month; the earliest reach back to its first day.
_PERIODS = f"""
rows AS (
  SELECT customer_id, branch_id, side, manager_id, from_date, until_date,
    min(from_date) OVER (PARTITION BY customer_id) AS earliest_date
  FROM (
    SELECT customer_id, branch_id, side, manager_id, from_date, 'infinity'::date AS until_date
    FROM owner WHERE {_IN_RANGE} AND from_date < :last_until
    UNION ALL
    SELECT customer_id, branch_id, side, manager_id, from_date, until_date
    FROM owner_period WHERE {_IN_RANGE} AND from_date < :last_until AND until_date > :first AND until_date > from_date
  ) all_rows
  WHERE EXISTS (SELECT FROM ownership a WHERE a.customer_id = all_rows.customer_id AND NOT a.gone)
), periods AS (
  SELECT customer_id, branch_id, side, manager_id,
    CASE WHEN from_date = earliest_date THEN :first ELSE greatest(from_date, :first) END AS from_date,
    least(until_date, :last_until) AS until_date
  FROM rows
)"""  # noqa: S608 - our own words

_BALANCES = f"""
steps AS (
  SELECT customer_id, branch_id, from_date, balance_minor,
    lead(from_date, 1, 'infinity') OVER (PARTITION BY customer_id, branch_id ORDER BY from_date) AS until_date
  FROM balance_step WHERE {_IN_RANGE} AND from_date < :last_until
), balances AS (
  SELECT customer_id, branch_id, greatest(from_date, :first) AS from_date, least(until_date, :last_until) AS until_date,
    balance_minor
  FROM steps WHERE until_date > :first
), intercepted AS (
  SELECT customer_id, staff_id, branch_id, greatest(from_date, :first) AS from_date,
    least(until_date, :last_until) AS until_date
  FROM interception WHERE {_IN_RANGE} AND from_date < :last_until AND until_date > :first
), custodies AS (
  SELECT p.customer_id, p.branch_id, c.from_staff_id, c.to_staff_id, greatest(c.from_date, p.from_date) AS from_date,
    least(c.until_date, p.until_date) AS until_date
  FROM credit_custody c JOIN periods p ON p.manager_id = c.from_staff_id AND p.branch_id = c.branch_id
    AND p.from_date < c.until_date AND c.from_date < p.until_date
  WHERE c.from_date < :last_until AND c.until_date > :first
)"""  # noqa: S608 - our own words

_SEGMENTS = """
cuts AS (
  SELECT customer_id, from_date AS cut FROM periods
  UNION SELECT customer_id, until_date FROM periods
  UNION SELECT customer_id, from_date FROM balances
  UNION SELECT customer_id, from_date FROM intercepted
  UNION SELECT customer_id, until_date FROM intercepted
  UNION SELECT customer_id, from_date FROM custodies
  UNION SELECT customer_id, until_date FROM custodies
), segments AS (
  SELECT customer_id, cut AS from_date,
    lead(cut, 1, :last_until) OVER (PARTITION BY customer_id ORDER BY cut) - cut AS days
  FROM cuts WHERE cut < :last_until
), totals AS (
  SELECT s.customer_id, s.from_date, sum(b.balance_minor) AS total_minor
  FROM segments s JOIN balances b ON b.customer_id = s.customer_id
    AND b.from_date <= s.from_date AND s.from_date < b.until_date
  GROUP BY s.customer_id, s.from_date
)"""

_SHARES = """
held AS (
  SELECT s.customer_id, s.from_date, s.days, p.branch_id, p.side, coalesce(c.to_staff_id, p.manager_id, '') AS staff_id,
    coalesce(b.balance_minor, 0)::numeric AS balance_minor
  FROM segments s
  JOIN periods p ON p.customer_id = s.customer_id AND p.from_date <= s.from_date AND s.from_date < p.until_date
  LEFT JOIN balances b ON b.customer_id = s.customer_id AND b.branch_id = p.branch_id
    AND b.from_date <= s.from_date AND s.from_date < b.until_date
  LEFT JOIN custodies c ON c.customer_id = s.customer_id AND c.branch_id = p.branch_id
    AND c.from_staff_id = p.manager_id AND c.from_date <= s.from_date AND s.from_date < c.until_date
), weighed AS (
  SELECT *, sum(balance_minor) FILTER (WHERE side = 'SECONDARY') OVER w AS secondary_minor,
    count(*) FILTER (WHERE side = 'SECONDARY') OVER w AS secondary_count,
    count(*) FILTER (WHERE side = 'PRIMARY') OVER w AS primary_count
  FROM held WINDOW w AS (PARTITION BY customer_id, from_date)
), secondary AS (
  SELECT *, CASE WHEN side = 'PRIMARY' THEN 0
    WHEN secondary_minor > 0 THEN div(:secondary_percent * 100 * balance_minor, secondary_minor)
    ELSE div(:secondary_percent * 100::numeric, secondary_count) END AS secondary_share
  FROM weighed WHERE primary_count > 0
), parties AS (
  SELECT h.customer_id, h.from_date, h.days, h.branch_id, h.staff_id, h.side = 'PRIMARY' AS is_primary,
    CASE WHEN h.side = 'PRIMARY' THEN 10000 - sum(h.secondary_share) OVER (PARTITION BY h.customer_id, h.from_date)
      - CASE WHEN i.customer_id IS NULL THEN 0 ELSE :interceptor_percent * 100 END
    ELSE h.secondary_share END AS share
  FROM secondary h
  LEFT JOIN intercepted i ON i.customer_id = h.customer_id AND i.from_date <= h.from_date AND h.from_date < i.until_date
  UNION ALL
  SELECT h.customer_id, h.from_date, h.days, i.branch_id, i.staff_id, false, :interceptor_percent * 100
  FROM secondary h
  JOIN intercepted i ON i.customer_id = h.customer_id AND i.from_date <= h.from_date AND h.from_date < i.until_date
  WHERE h.side = 'PRIMARY'
)"""

_SUMS = """
dated AS (
  SELECT p.*, coalesce(t.total_minor, 0) AS total_minor,
    p.is_primary AND p.from_date = max(p.from_date) OVER (PARTITION BY p.customer_id) AS is_last
  FROM parties p LEFT JOIN totals t USING (customer_id, from_date)
), sums AS (
  SELECT customer_id, branch_id, staff_id, sum(share * days) AS weight, sum(share * days * total_minor) AS deposits,
    bool_or(is_last) AS is_last
  FROM dated GROUP BY customer_id, branch_id, staff_id
), shared AS (
  SELECT *, div(weight, covered) AS floor_share, div(deposits, 10000 * CAST(:days AS numeric)) AS floor_deposit
  FROM (SELECT *, div(sum(weight) OVER (PARTITION BY customer_id), 10000) AS covered FROM sums) s
), rested AS (
  SELECT *, floor_share + CASE WHEN is_last THEN 10000 - sum(floor_share) OVER w ELSE 0 END AS share,
    floor_deposit + CASE WHEN is_last THEN div(sum(deposits) OVER w, 10000 * CAST(:days AS numeric))
      - sum(floor_deposit) OVER w ELSE 0 END AS deposit_minor
  FROM shared WINDOW w AS (PARTITION BY customer_id)
)"""


def _part(amount: str) -> str:
    """A party's part of what a customer has, the remainder to who was primary last."""
    part = f"floor(r.share * m.{amount}::numeric / 10000)"
    return f"{part} + CASE WHEN r.is_last THEN m.{amount} - sum({part}) OVER w ELSE 0 END"


_RESULT = f"""
result AS MATERIALIZED (
  SELECT r.customer_id, r.branch_id, r.staff_id, r.share::integer AS share,
    CASE WHEN m.customer_id IS NULL OR m.deposit_average_minor IS NOT NULL THEN r.deposit_minor END::bigint
      AS deposit_minor,
    ({_part("deposit_growth_minor")})::bigint AS growth_minor,
    ({_part("wealth_minor")})::bigint AS wealth_minor,
    ({_part("loan_minor")})::bigint AS loan_minor
  FROM rested r LEFT JOIN customer_month m ON m.customer_id = r.customer_id AND m.month_date = :first
  WINDOW w AS (PARTITION BY r.customer_id)
)"""  # noqa: S608 - our own words

_STORE = f"""
ended AS (
  DELETE FROM credit c WHERE {_IN_RANGE} AND c.month_date = :first AND NOT EXISTS (
    SELECT FROM result r WHERE r.customer_id = c.customer_id AND r.branch_id = c.branch_id AND r.staff_id = c.staff_id)
), stored AS (
  INSERT INTO credit AS c (customer_id, month_date, branch_id, staff_id, share, deposit_minor, growth_minor,
    wealth_minor, loan_minor)
  SELECT customer_id, :first, branch_id, staff_id, share, deposit_minor, growth_minor, wealth_minor, loan_minor
  FROM result ORDER BY customer_id, branch_id, staff_id
  ON CONFLICT (customer_id, month_date, branch_id, staff_id) DO UPDATE SET share = excluded.share,
    deposit_minor = excluded.deposit_minor, growth_minor = excluded.growth_minor, wealth_minor = excluded.wealth_minor,
    loan_minor = excluded.loan_minor
  WHERE (c.share, c.deposit_minor, c.growth_minor, c.wealth_minor, c.loan_minor) IS DISTINCT FROM
    (excluded.share, excluded.deposit_minor, excluded.growth_minor, excluded.wealth_minor, excluded.loan_minor)
)
SELECT count(DISTINCT customer_id) FROM result"""  # noqa: S608 - our own words

CREDIT = text(f"WITH {_PERIODS}, {_BALANCES}, {_SEGMENTS}, {_SHARES}, {_SUMS}, {_RESULT}, {_STORE}").bindparams(
    bindparam("first", type_=Date),
    bindparam("last_until", type_=Date),
    bindparam("after", type_=Text),
    bindparam("until", type_=Text),
)
