"""Two customers made one here, and two again; and who is gone into whom."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.bulk import try_lock_imports
from chassis.sql.merging import Merging, add_merged, divide, remove_merged, unite
from services.customer_svc.domain.merges import Counts
from services.customer_svc.store import tag_sync
from services.customer_svc.store.figure_columns import FIGURES
from services.customer_svc.store.merged_groups import hold_memberships, settle_member_counts
from services.customer_svc.store.merged_tables import TABLES, figures

_IMPORTED = (
    *("accounts", "cards", "customer_branch_figures", "customer_figures", "customer_tags", "customers", "holdings"),
    *("key_tests", "loans", "monthly_balances", "relations"),
)
_TOTALS = [f"total_{name}" for name in FIGURES]
# What is computed of a customer's business; the rest of his row is who he is, which no merge changes.
_COMPUTED = (
    *_TOTALS,
    *("tier", "tier_gap_minor", "contribution_minor", "lifecycle", "tag_codes", "key_reason", "key_until_date"),
)
_NAMES = ", ".join(f"'{name}'" for name in _COMPUTED)
_LOCK = text(
    "SELECT customer_id, customer_type, gone FROM customers WHERE customer_id IN (:survivor_id, :merged_id)"
    " ORDER BY customer_id FOR UPDATE"
)
_KEEP = text(f"""
INSERT INTO merge_rows (customer_id, merge_id, label, row_key, fate, image)
SELECT :survivor_id, :merge_id, 'customers', jsonb_build_array(customer_id), 'ENDED',
  (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(c)) WHERE key IN ({_NAMES}))
FROM customers c WHERE customer_id IN (:survivor_id, :merged_id)""")
_ADD_UP = text(f"""
UPDATE customers o SET {", ".join(f"{name} = {expression}" for name, expression in figures("total_").items())},
  contribution_minor = CASE WHEN o.contribution_minor IS NULL THEN t.contribution_minor
    ELSE o.contribution_minor + coalesce(t.contribution_minor, 0) END,
  tier = greatest(o.tier, t.tier)
FROM customers t WHERE o.customer_id = :survivor_id AND t.customer_id = :merged_id""")
_MARK = text("""
UPDATE customers c SET key_reason = m.reason,
  key_until_date = CASE WHEN m.reason = 'MANUAL' THEN m.manual_until_date END
FROM key_marks m WHERE m.customer_id = c.customer_id AND c.customer_id = :survivor_id""")
_GO = text(f"""
UPDATE customers SET gone = true, {", ".join(f"{name} = NULL" for name in _COMPUTED if name != "tag_codes")},
  tag_codes = '{{}}' WHERE customer_id = :merged_id""")
_COME_BACK = text(f"""
UPDATE customers c SET {", ".join(f"{name} = p.{name}" for name in _COMPUTED)}
FROM merge_rows r, LATERAL jsonb_populate_record(NULL::customers, r.image) p
WHERE r.customer_id = :survivor_id AND r.merge_id = :merge_id AND r.label = 'customers'
  AND c.customer_id = r.row_key ->> 0""")
_FORGET = text(
    "DELETE FROM merge_rows WHERE customer_id = :survivor_id AND merge_id = :merge_id AND label = 'customers'"
)
# Followers are told also of those who were merged before, and have another survivor by this.
_TELL = text("""
UPDATE customers SET rev = pg_current_xact_id(), update_time = bank_now() WHERE customer_id IN (
  SELECT customer_id FROM merged_customers WHERE survivor_id IN (:survivor_id, :merged_id)
) OR customer_id IN (:survivor_id, :merged_id)""")
_COUNTS = text("""
SELECT (SELECT count(*) FROM accounts WHERE customer_id = :id) AS account_count,
  (SELECT count(*) FROM loans WHERE customer_id = :id) AS loan_count,
  (SELECT count(*) FROM cards WHERE customer_id = :id) AS card_count,
  (SELECT count(*) FROM holdings WHERE customer_id = :id) AS holding_count,
  (SELECT count(*) FROM relations WHERE customer_id = :id OR related_customer_id = :id)
    + (SELECT count(*) FROM manual_relations WHERE (customer_id = :id OR related_customer_id = :id)
      AND end_time IS NULL) AS relation_count,
  (SELECT coalesce(cardinality(tag_codes), 0) FROM customers WHERE customer_id = :id) AS tag_count,
  (SELECT count(*) FROM notes WHERE customer_id = :id AND delete_time IS NULL)
    + (SELECT count(*) FROM attachments WHERE customer_id = :id) AS note_count,
  (SELECT count(DISTINCT group_id) FROM group_members WHERE customer_id = :id) AS group_count""")
_PAGE = text(
    "SELECT customer_id, survivor_id FROM merged_customers WHERE customer_id > :after ORDER BY customer_id LIMIT :limit"
)


async def hold_still(tx: AsyncConnection, merging: Merging) -> None:
    """Keeps imports out, and others from changing these customers, until `tx` ends.

    Refuses for now if an import is under way.
    """
    for name in _IMPORTED:
        if not await try_lock_imports(tx, name):
            raise Refused(Kind.UNAVAILABLE, "DATABASE_BUSY", "customers are being imported; try again")
    await tx.execute(_LOCK, vars(merging))


async def lock_pair(tx: AsyncConnection, survivor_id: str, merged_id: str) -> Sequence[Row[Any]]:
    """The living ones of two customers with their types, whom nobody else changes until `tx` ends."""
    rows = await tx.execute(_LOCK, {"survivor_id": survivor_id, "merged_id": merged_id})
    return [row for row in rows if not row.gone]


async def unite_customers(tx: AsyncConnection, merging: Merging, day: date) -> None:
    """Gives the survivor all that the other has; the other is gone. A second call for a merge changes nothing."""
    if not await add_merged(tx, merging):
        return
    await tx.execute(_KEEP, vars(merging))
    members = await hold_memberships(tx, merging)
    await unite(tx, TABLES, merging)
    await settle_member_counts(tx, merging, members)
    for statement in (_ADD_UP, _MARK, _GO):
        await tx.execute(statement, vars(merging))
    await tag_sync.sync_one(tx, merging.survivor_id, day)
    await tx.execute(_TELL, vars(merging))


async def divide_customers(tx: AsyncConnection, merging: Merging, day: date) -> None:
    """Gives back what `unite_customers` moved; the other is there again. A second call changes nothing."""
    if not await remove_merged(tx, merging):
        return
    members = await hold_memberships(tx, merging)
    await divide(tx, TABLES, merging)
    await settle_member_counts(tx, merging, members)
    alive = text("UPDATE customers SET gone = false WHERE customer_id = :merged_id")
    for statement in (_COME_BACK, alive, _FORGET):
        await tx.execute(statement, vars(merging))
    for customer_id in (merging.survivor_id, merging.merged_id):
        await tag_sync.sync_one(tx, customer_id, day)
    await tx.execute(_TELL, vars(merging))


async def counts(conn: AsyncConnection, customer_id: str) -> Counts:
    """What a customer has that a merge would move."""
    row = (await conn.execute(_COUNTS, {"id": customer_id})).one()
    return Counts(*row)


async def page(conn: AsyncConnection, after: str, limit: int) -> list[tuple[str, str]]:
    """Who is gone by a merge and who has all that was his, by id."""
    return [(row.customer_id, row.survivor_id) for row in await conn.execute(_PAGE, {"after": after, "limit": limit})]
