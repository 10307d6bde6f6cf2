"""Keeps the codes that customers carry (`customers.tag_codes`) equal to what is said of their tags.

Who may carry other codes than he should is found first, then locked in the order of ids, and only then decided, by a
statement of its own: it sees what others stored while it waited.
"""

from datetime import date

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

BATCH = "batch"
# A feed reader waits for the oldest transaction of the server (design 4.6).
EXPIRED_AT_ONCE = 20_000

# What customers carry on a day. `domain.tags.CustomerTag.is_live` says the same of one tag. What the batch said holds
# on beyond its last day until a night has told again: nobody confirms what no night looked at.
_LIVE = """
  SELECT p.customer_id, p.tag_code FROM potential_tags AS p
  WHERE p.customer_id IN (SELECT customer_id FROM asked)
    AND p.expiry_date >= least(CAST(:day AS date), (SELECT told_date FROM tag_day)) AND NOT EXISTS (
    SELECT FROM tag_overrides AS o
    WHERE o.customer_id = p.customer_id AND o.tag_code = p.tag_code AND NOT o.is_set AND o.end_date >= :day
  )
  UNION SELECT customer_id, tag_code FROM tag_overrides
  WHERE customer_id IN (SELECT customer_id FROM asked) AND is_set AND end_date >= :day
  UNION SELECT customer_id, tag_code FROM manual_tags
  WHERE customer_id IN (SELECT customer_id FROM asked) AND (end_date IS NULL OR end_date >= :day)
"""
_DIFFERING = f"""
differing AS (
  SELECT c.customer_id, c.tag_codes AS old_codes, coalesce(l.codes, '{{}}') AS new_codes
  FROM customers AS c JOIN asked USING (customer_id) LEFT JOIN (
    SELECT customer_id, array_agg(tag_code::text ORDER BY tag_code) AS codes FROM ({_LIVE}) AS live GROUP BY customer_id
  ) AS l USING (customer_id)
  WHERE c.tag_codes IS DISTINCT FROM coalesce(l.codes, '{{}}')
)"""  # noqa: S608 -- our own words
_FIND = "WITH asked AS MATERIALIZED ({asked})," + _DIFFERING + " SELECT customer_id FROM differing ORDER BY customer_id"  # noqa: S608 -- our own words
_SOME = _FIND + " LIMIT :limit"
_LOCK = text(
    "SELECT customer_id FROM customers WHERE customer_id = ANY(CAST(:customer_ids AS text[]))"
    " ORDER BY customer_id FOR UPDATE"
)
_WRITE = text(
    "WITH asked AS MATERIALIZED (SELECT unnest(CAST(:customer_ids AS text[])) AS customer_id),"  # noqa: S608 -- ours
    + _DIFFERING
    + """
, told AS (
  INSERT INTO tag_changes (customer_id, tag_code, kind, reason, actor, branch_id)
  SELECT customer_id, code, kind, '', :actor, '' FROM (
    SELECT d.customer_id, unnest(d.new_codes) AS code, 'GIVEN' AS kind FROM differing AS d
    EXCEPT SELECT d.customer_id, unnest(d.old_codes), 'GIVEN' FROM differing AS d
    UNION ALL (
      SELECT d.customer_id, unnest(d.old_codes), 'ENDED' FROM differing AS d
      EXCEPT SELECT d.customer_id, unnest(d.new_codes), 'ENDED' FROM differing AS d
    )
  ) AS changes WHERE :actor <> '' ORDER BY customer_id, code
)
UPDATE customers AS c SET tag_codes = d.new_codes FROM differing AS d WHERE c.customer_id = d.customer_id
"""
).bindparams(bindparam("day", type_=Date))
# Whose tags have a last day between the day up to which this was done and yesterday.
_EXPIRED = """
  SELECT customer_id FROM potential_tags WHERE expiry_date >= :since AND expiry_date < :day
  UNION SELECT customer_id FROM manual_tags WHERE end_date >= :since AND end_date < :day
  UNION SELECT customer_id FROM tag_overrides WHERE end_date >= :since AND end_date < :day
"""
_APPLIED = text("SELECT applied_date FROM tag_day")
_APPLY_DAY = text(
    "INSERT INTO tag_day AS t (applied_date) VALUES (:day) ON CONFLICT (only_row) DO UPDATE"
    " SET applied_date = excluded.applied_date WHERE t.applied_date < excluded.applied_date"
).bindparams(bindparam("day", type_=Date))


_TELL = text(
    "INSERT INTO tag_day AS t (applied_date, told_date) VALUES (date '0001-01-01', :day)"
    " ON CONFLICT (only_row) DO UPDATE SET told_date = greatest(t.told_date, excluded.told_date),"
    " applied_date = least(t.applied_date, coalesce(t.told_date, excluded.applied_date))"
).bindparams(bindparam("day", type_=Date))


async def tell_night(tx: AsyncConnection, day: date) -> None:
    """Remembers that a night has told of potential tags: what had its last day before may end now."""
    await tx.execute(_TELL, {"day": day})


async def sync_one(tx: AsyncConnection, customer_id: str, day: date) -> None:
    """Lets a locked customer carry what is said of him now; the history tells what was done, not that."""
    await tx.execute(_WRITE, {"customer_ids": [customer_id], "day": day, "actor": ""})


async def sync_told(tx: AsyncConnection, staging: str, bounds: tuple[str, str], day: date) -> int:
    """Lets the customers of an import whose ids lie within bounds (the lower excluded) carry what is said of them now.

    Says how many that changed.
    """
    asked = f"SELECT DISTINCT customer_id FROM {staging} WHERE customer_id > :lower AND customer_id <= :upper"  # noqa: S608 -- our own name
    return await _sync(tx, _FIND.replace("{asked}", asked), {"day": day, "lower": bounds[0], "upper": bounds[1]})


async def expire(tx: AsyncConnection, day: date) -> int:
    """Takes from customers what has passed its last day; once no more than some are left, a second run writes nothing.

    Returns how many customers lost something: if `EXPIRED_AT_ONCE`, there may be others, for another transaction.
    """
    applied = (await tx.execute(_APPLIED)).scalar_one_or_none() or date.min
    if applied >= day:
        return 0
    values = {"day": day, "since": applied, "limit": EXPIRED_AT_ONCE}
    count = await _sync(tx, _SOME.replace("{asked}", _EXPIRED), values)
    if count < EXPIRED_AT_ONCE:
        await tx.execute(_APPLY_DAY, {"day": day})
    return count


async def lock_customer(tx: AsyncConnection, customer_id: str) -> bool:
    """Locks a customer until `tx` ends, as everything does that changes what he carries; says whether there is one."""
    return bool((await tx.execute(_LOCK, {"customer_ids": [customer_id]})).scalars().all())


async def _sync(tx: AsyncConnection, query: str, values: dict[str, date | str | int]) -> int:
    dates = (bindparam(name, type_=Date) for name, value in values.items() if isinstance(value, date))
    find = text(query).bindparams(*dates)
    customer_ids = list((await tx.execute(find, values)).scalars())
    if not customer_ids:
        return 0
    await tx.execute(_LOCK, {"customer_ids": customer_ids})
    await tx.execute(_WRITE, {"customer_ids": customer_ids, "day": values["day"], "actor": BATCH})
    return len(customer_ids)
