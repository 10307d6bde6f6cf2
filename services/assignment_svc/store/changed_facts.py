"""Facts that come within a day: only what changed of a date whose night is still to come, and whom to decide anew.

Whose facts were written waits in `changed_facts`; a batch takes him out in the transaction that decides over him, so
nobody is lost or forgotten by a crash.
"""

from datetime import date

from sqlalchemy import Date, Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable
from services.assignment_svc.store.imports import FACTS_SCHEMA, check_facts
from services.assignment_svc.store.upserts import upsert_changed_facts

BRANCH_FACTS_CHANGES = "branch_facts_changes"
WAKE_UP = "changed_facts"

# Whoever was merged is told under two ids, of which only the whole facts of a night tell the sum.
_LEAVE_MERGED = """
DELETE FROM {staging} s WHERE EXISTS (
  SELECT FROM merged_customers m WHERE s.customer_id IN (m.customer_id, m.survivor_id))"""
# So is a customer's business at a branch that took what another had, as long as the source tells of both.
_LEAVE_MOVED = """
DELETE FROM {staging} s WHERE EXISTS (SELECT FROM branch_alias b WHERE b.branch_id = s.branch_id)
  OR EXISTS (SELECT FROM customer_branch_alias c
    WHERE c.customer_id = s.customer_id AND s.branch_id IN (c.branch_id, c.target_id))
  OR EXISTS (SELECT FROM ownership_change m
    WHERE m.customer_id = s.customer_id AND m.kind = 'BRANCH_CHANGE' AND m.to_branch_id = s.branch_id)"""
_LOCK_DAY = text("SELECT FROM allocation_day FOR NO KEY UPDATE")
_BEGIN = text("UPDATE allocation_day SET changes_date = greatest(changes_date, :day)").bindparams(
    bindparam("day", type_=Date)
)
# Who is in the middle of being told again is taken by a later batch.
_TAKE = text(
    """
WITH taken AS (
  SELECT customer_id FROM changed_facts ORDER BY customer_id LIMIT :limit FOR UPDATE SKIP LOCKED
)
DELETE FROM changed_facts c USING taken t WHERE c.customer_id = t.customer_id RETURNING c.customer_id"""
).bindparams(bindparam("limit", type_=Integer))
_WAITING = text("SELECT EXISTS (SELECT FROM changed_facts)")


def bulk_table() -> BulkTable:
    """The table as ImportRows takes it: the columns of branch_facts, and only the rows that changed."""
    return BulkTable(
        BRANCH_FACTS_CHANGES,
        FACTS_SCHEMA,
        ("customer_id", "branch_id"),
        upsert_changed_facts,
        check_facts,
        fills=("branch_facts",),
    )


async def leave_merged(tx: AsyncConnection, staging: str) -> None:
    """Drops the rows of customers who were merged: the night tells of them."""
    await tx.execute(text(_LEAVE_MERGED.replace("{staging}", staging)))


async def leave_moved(tx: AsyncConnection, staging: str) -> None:
    """Drops the rows of business that was handed from branch to branch: the night tells all of it."""
    await tx.execute(text(_LEAVE_MOVED.replace("{staging}", staging)))


async def lock_day(tx: AsyncConnection) -> None:
    """Lets nobody else say how far the nights are until `tx` ends."""
    await tx.execute(_LOCK_DAY)


async def begin(tx: AsyncConnection, day: date) -> None:
    """Says that facts of a date come within it: nothing goes back behind it any more."""
    await tx.execute(_BEGIN, {"day": day})


async def waiting(conn: AsyncConnection) -> bool:
    """Says whether anybody waits to be decided anew."""
    return (await conn.execute(_WAITING)).scalar_one()


async def take(tx: AsyncConnection, limit: int) -> list[str]:
    """Some of those who wait, by id; they wait no longer once `tx` commits."""
    return sorted((await tx.execute(_TAKE, {"limit": limit})).scalars())
