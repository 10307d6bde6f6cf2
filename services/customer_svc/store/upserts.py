"""How rows of the feed become rows of tables here, where the chassis' own upsert does not do."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ARRAY, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import Hook, default_upsert
from chassis.sql.upsert import Upsert

# What counts the rows that a statement's part `written` tells by what stood there before.
COUNTS = "SELECT count(*) FILTER (WHERE before IS NULL), count(*) FILTER (WHERE before IS NOT NULL) FROM written"
# Behind every id: ids are of letters, digits and "_.:-", and are ordered by code point.
_LAST = "~"


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
    return ran(f"""
WITH written AS ({_written(target, key, columns)} {returning}),
locked AS (
  SELECT customer_id FROM customers WHERE customer_id IN (
    SELECT after FROM written WHERE told UNION SELECT before FROM written WHERE told AND before IS NOT NULL
  ) ORDER BY customer_id FOR UPDATE
),
touched AS (
  UPDATE customers AS c SET rev = pg_current_xact_id() FROM locked WHERE c.customer_id = locked.customer_id
) {COUNTS}""")  # noqa: S608 -- names of our own tables


def whole_upsert(target: Table, key: Sequence[str], columns: Sequence[str]) -> Upsert:
    """Makes a table, whose key begins with the customer, that of staging: an import always brings all of its rows.

    With each batch also goes what staging lacks among its ids, so that no customer's rows are of two dates;
    `whole_finish` sees to the ids behind the last batch. A column of several texts arrives as one, joined by `;`.
    """
    write = default_upsert(target, key, columns)
    same_key = " AND ".join(f"s.{name} = f.{name}" for name in key)
    vanished = f"""
DELETE FROM {target.name} AS f WHERE {within("f")}
  AND NOT EXISTS (SELECT FROM {{staging}} AS s WHERE {same_key} AND {within("s")})"""  # noqa: S608 -- names of our own tables

    async def upsert(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
        counts = await write(tx, f"(SELECT {given(target, columns)} FROM {staging})", lower, upper)  # noqa: S608 -- our own names
        await tx.execute(text(vanished.replace("{staging}", staging)), {"lower": lower, "upper": upper})
        return counts

    return upsert


def whole_finish(upsert: Upsert) -> Hook:
    """Makes the hook that takes away what stands behind the last customer of staging."""

    async def finish(tx: AsyncConnection, staging: str, business_date: date) -> None:
        del business_date
        last = text(f"SELECT coalesce(max(customer_id), '') FROM {staging}")  # noqa: S608 -- our own name
        await upsert(tx, staging, (await tx.execute(last)).scalar_one(), _LAST)

    return finish


def within(alias: str) -> str:
    """Says of a row that its customer is one of the batch."""
    return f"{alias}.customer_id > :lower AND {alias}.customer_id <= :upper"


def given(target: Table, columns: Sequence[str], prefix: str = "") -> str:
    """Staging's columns as the target's, whose names may stand behind a prefix, take them."""
    several = {name for name in columns for column in [target.c.get(prefix + name)] if _is_array(column)}
    return ", ".join(
        f"string_to_array(nullif({name}, ''), ';') AS {name}" if name in several else name for name in columns
    )


def ran(template: str) -> Upsert:
    """Makes an upsert of a statement that returns how many rows it inserted and updated."""

    async def upsert(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
        statement = text(template.replace("{staging}", staging))
        inserted, updated = (await tx.execute(statement, {"lower": lower, "upper": upper})).one()
        return inserted, updated

    return upsert


def _is_array(column: object) -> bool:
    return isinstance(getattr(column, "type", None), ARRAY)


def _written(target: Table, key: str, columns: Sequence[str]) -> str:
    """The INSERT of what is new or differs; the join keeps rows that are equal from being locked, so rewritten."""
    others = [name for name in columns if name != key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    mine, theirs, told = (", ".join(f"{alias}.{name}" for name in others) for alias in ("t", "excluded", "s"))
    stored = ", ".join(f"t0.{name}" for name in others)
    # All names come from our own tables.
    return f"""
INSERT INTO {target.name} AS t ({", ".join(columns)})
SELECT {", ".join(f"s.{name}" for name in columns)} FROM {{staging}} AS s LEFT JOIN {target.name} AS t0 USING ({key})
WHERE s.{key} > :lower AND s.{key} <= :upper AND (t0.{key} IS NULL OR ({stored}) IS DISTINCT FROM ({told}))
ORDER BY s.{key}
ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE ({mine}) IS DISTINCT FROM ({theirs})"""  # noqa: S608 -- names of our own tables
