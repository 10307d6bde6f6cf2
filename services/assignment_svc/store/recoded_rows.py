"""Rows of the feed that still tell of a branch which handed its customers on: they count for the one that took them."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, RowError

__all__ = ["recoded"]

_NEW = (
    "coalesce((SELECT c.target_id FROM customer_branch_alias c"
    " WHERE c.customer_id = t.customer_id AND c.branch_id = t.branch_id),"
    " (SELECT b.target_id FROM branch_alias b WHERE b.branch_id = t.branch_id))"
)
_ANY = "SELECT EXISTS (SELECT FROM branch_alias) OR EXISTS (SELECT FROM customer_branch_alias)"
# A branch may have gone on to another since: so many steps are more than any bank ever made.
_STEPS_MAX = 100


def recoded(table: BulkTable, combine: Mapping[str, str]) -> BulkTable:
    """The same table, keyed by customer and branch, whose staged rows are recoded before anything else looks at them.

    Rows that have the same key by that become one, as `combine` says (over `o`, the target's, and `t`).
    """
    changes = ", ".join(f"{name} = {expression}" for name, expression in combine.items())

    async def check(tx: AsyncConnection, staging: str) -> list[RowError]:
        if (await tx.execute(text(_ANY))).scalar_one():
            # Each round takes one row of every key, since several may become one.
            round_ = text(f"""
WITH old AS MATERIALIZED (
  SELECT t.*, {_NEW} AS target_id FROM {staging} t
  WHERE t.branch_id IN (SELECT branch_id FROM branch_alias UNION SELECT branch_id FROM customer_branch_alias)
), picked AS MATERIALIZED (
  SELECT DISTINCT ON (customer_id, target_id) * FROM old WHERE target_id IS NOT NULL
  ORDER BY customer_id, target_id, "row"
), joined AS (
  UPDATE {staging} o SET {changes} FROM picked t
  WHERE o.customer_id = t.customer_id AND o.branch_id = t.target_id RETURNING t."row"
), left_out AS (
  DELETE FROM {staging} s USING joined j WHERE s."row" = j."row"
), moved AS (
  UPDATE {staging} s SET branch_id = p.target_id FROM picked p
  WHERE s."row" = p."row" AND p."row" NOT IN (SELECT "row" FROM joined)
)
SELECT count(*) FROM picked""")
            for _ in range(_STEPS_MAX):
                if not (await tx.execute(round_)).scalar_one():
                    break
        return await table.check(tx, staging)

    return replace(table, check=check)
