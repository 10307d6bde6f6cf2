"""How rows of the feed become rows of tables here, where the chassis' own upsert does not do."""

from collections.abc import Sequence

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import default_upsert
from chassis.sql.upsert import Upsert
from services.customer_svc.store.tables import customer_branch_figures

# Unknown at one branch is unknown for the bank: who has an account there has money there that nobody counted.
# Staging holds all branches of a customer, and nothing of one who has no account left. Each side of a join is bounded:
# a batch would read the whole of it otherwise.
_TOTALS = """
UPDATE customers AS c SET total_deposit_balance_minor = t.balance, total_deposit_average_minor = t.average
FROM (
  SELECT customer_id,
    CASE WHEN NOT bool_or(s.deposit_balance_minor IS NULL) THEN sum(s.deposit_balance_minor)::bigint END AS balance,
    CASE WHEN NOT bool_or(s.deposit_average_minor IS NULL) THEN sum(s.deposit_average_minor)::bigint END AS average
  FROM customers LEFT JOIN (
    SELECT * FROM {staging} WHERE customer_id > :lower AND customer_id <= :upper
  ) AS s USING (customer_id)
  WHERE customer_id > :lower AND customer_id <= :upper
  GROUP BY customer_id ORDER BY customer_id
) AS t
WHERE c.customer_id = t.customer_id
  AND (c.total_deposit_balance_minor, c.total_deposit_average_minor) IS DISTINCT FROM (t.balance, t.average)
"""
_VANISHED = """
DELETE FROM customer_branch_figures AS f WHERE customer_id > :lower AND customer_id <= :upper
  AND NOT EXISTS (
    SELECT FROM {staging} AS s WHERE s.customer_id = f.customer_id AND s.branch_id = f.branch_id
      AND s.customer_id > :lower AND s.customer_id <= :upper
  )
"""
# Behind every id: ids are of letters, digits and "_.:-", and are ordered by code point.
_LAST = "~"


def customers_upsert(target: Table, key: str, columns: Sequence[str]) -> Upsert:
    """Upserts customers; each one written moves in the feed and gets a new update time."""
    extra = {"rev": "pg_current_xact_id()", "update_time": "bank_now()"}
    return _ran(f"WITH written AS ({_written(target, key, columns, extra)} RETURNING old.{key} AS before) {_COUNTS}")


def business_upsert(target: Table, key: str, columns: Sequence[str], told: Sequence[str]) -> Upsert:
    """Upserts what customers have.

    The customer moves in the feed if a `told` column changed, one that the feed speaks of; of a row that changes hands
    both customers move. Others do not: balances change every night, and nobody follows them.
    """
    old, new = (", ".join(f"{side}.{name}" for name in told) for side in ("old", "new"))
    returning = (
        f"RETURNING old.customer_id AS before, new.customer_id AS after, ({old}) IS DISTINCT FROM ({new}) AS told"
    )
    # Locked in the order of ids, as every writer does.
    return _ran(f"""
WITH written AS ({_written(target, key, columns, {})} {returning}),
locked AS (
  SELECT customer_id FROM customers WHERE customer_id IN (
    SELECT after FROM written WHERE told UNION SELECT before FROM written WHERE told AND before IS NOT NULL
  ) ORDER BY customer_id FOR UPDATE
),
touched AS (
  UPDATE customers AS c SET rev = pg_current_xact_id() FROM locked WHERE c.customer_id = locked.customer_id
) {_COUNTS}""")  # noqa: S608 -- names of our own tables


def figures_upsert(columns: Sequence[str]) -> Upsert:
    """Makes the sums by branch those of staging, and then adds them up on the customers, by which lists are ordered.

    An import brings the whole table: a customer's money at a branch that is not told any more would be counted twice,
    there and where it went. With each batch also goes what staging lacks among its ids, so that no total is wrong in
    between; `figures_finish` sees to the ids behind the last batch.
    """
    write = default_upsert(customer_branch_figures, ("customer_id", "branch_id"), columns)

    async def upsert(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
        counts = await write(tx, staging, lower, upper)
        await _settle(tx, staging, lower, upper)
        return counts

    return upsert


async def figures_finish(tx: AsyncConnection, staging: str) -> None:
    """Deletes the sums of customers behind the last one of staging, and empties their totals."""
    last = text(f"SELECT coalesce(max(customer_id), '') FROM {staging}")  # noqa: S608 -- our own name
    await _settle(tx, staging, (await tx.execute(last)).scalar_one(), _LAST)


async def _settle(tx: AsyncConnection, staging: str, lower: str, upper: str) -> None:
    for statement in (_VANISHED, _TOTALS):
        await tx.execute(text(statement.replace("{staging}", staging)), {"lower": lower, "upper": upper})


_COUNTS = "SELECT count(*) FILTER (WHERE before IS NULL), count(*) FILTER (WHERE before IS NOT NULL) FROM written"


def _written(target: Table, key: str, columns: Sequence[str], extra: dict[str, str]) -> str:
    """The INSERT of what is new or differs; the join keeps rows that are equal from being locked, so rewritten."""
    others = [name for name in columns if name != key]
    changes = [
        *(f"{name} = excluded.{name}" for name in others),
        *(f"{name} = {value}" for name, value in extra.items()),
    ]
    mine, theirs, given = (", ".join(f"{alias}.{name}" for name in others) for alias in ("t", "excluded", "s"))
    stored = ", ".join(f"t0.{name}" for name in others)
    # All names come from our own tables.
    return f"""
INSERT INTO {target.name} AS t ({", ".join(columns)})
SELECT {", ".join(f"s.{name}" for name in columns)} FROM {{staging}} AS s LEFT JOIN {target.name} AS t0 USING ({key})
WHERE s.{key} > :lower AND s.{key} <= :upper AND (t0.{key} IS NULL OR ({stored}) IS DISTINCT FROM ({given}))
ORDER BY s.{key}
ON CONFLICT ({key}) DO UPDATE SET {", ".join(changes)} WHERE ({mine}) IS DISTINCT FROM ({theirs})"""  # noqa: S608 -- names of our own tables


def _ran(template: str) -> Upsert:
    async def upsert(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
        statement = text(template.replace("{staging}", staging))
        inserted, updated = (await tx.execute(statement, {"lower": lower, "upper": upper})).one()
        return inserted, updated

    return upsert
