"""What is kept here of one person, to be told or erased (domain.md 12)."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.personal_data import Part
from chassis.sql.bulk import try_lock_imports
from chassis.sql.personal_data import PersonalTable, count_rows, erase_rows, read_rows
from services.customer_svc.store.tables import customers

ERASED_NAME = "已删除"
_MARKETING = ("tag_codes", "key_reason", "key_until_date")
_HASHES = ("id_number_hash", "mobile_hash")
TABLES = (
    # His row stays as a placeholder that says no more than that there was somebody.
    PersonalTable("customers", None, leaves_out=("rev", *_HASHES)),
    PersonalTable("relations", Part.RECORDS, owners=("customer_id", "related_customer_id")),
    PersonalTable("accounts", Part.RECORDS),
    PersonalTable("loans", Part.RECORDS),
    PersonalTable("cards", Part.RECORDS),
    PersonalTable("holdings", Part.RECORDS),
    PersonalTable("customer_branch_figures", Part.RECORDS),
    PersonalTable("monthly_balances", Part.RECORDS),
    # Told in clear, apart from the rows.
    PersonalTable("customer_contacts", Part.CONTACT_DATA, told=False),
    PersonalTable("potential_tags", Part.MARKETING),
    PersonalTable("manual_tags", Part.MARKETING),
    PersonalTable("tag_overrides", Part.MARKETING),
    PersonalTable("tag_changes", Part.MARKETING),
    PersonalTable("key_marks", Part.MARKETING),
    PersonalTable("key_mark_proposals", Part.MARKETING),
    PersonalTable("key_mark_changes", Part.MARKETING),
    PersonalTable("group_members", Part.MARKETING),
    PersonalTable("notes", Part.MARKETING),
    # That a document is kept must be known for as long as it is.
    PersonalTable("attachments", Part.MARKETING, stays="t.retained_until_date >= bank_now()::date"),
    PersonalTable("manual_relations", Part.RECORDS, owners=("customer_id", "related_customer_id")),
    # Who else could be meant is somebody else's data.
    PersonalTable(
        "duplicates",
        Part.RECORDS,
        owners=("customer_id", "other_id"),
        leaves_out=("customer_id", "other_id", "duplicate_id"),
    ),
    PersonalTable("merges", Part.RECORDS, owners=("customer_id", "merged_id")),
    PersonalTable("merge_events", Part.RECORDS),
    PersonalTable("merge_steps", Part.RECORDS),
    PersonalTable("merge_rows", Part.RECORDS),
    # Ids only; what a source still tells of an old one must find its way to where it is dropped.
    PersonalTable("merged_customers", None, owners=("customer_id", "survivor_id")),
    # As the audit: that somebody looked stays known. Who it was is told to auditors.
    PersonalTable("unmaskings", None, leaves_out=("staff_id", "request_id", "reason")),
    PersonalTable("personal_data_exports", Part.RECORDS),
    PersonalTable("erasures", None),
    PersonalTable("erased_customers", None, told=False),
    PersonalTable("suppressed_customers", None),
    # Followed of other services, which tell them, and go as those do; and a copy of `customers`.
    PersonalTable("owners", None, told=False),
    PersonalTable("contact_rooms", None, told=False),
    PersonalTable("contact_instants", None, told=False),
    PersonalTable("customer_search", None, told=False),
)
# Computed, and given another value.
_NOT_EMPTIED = frozenset({"birth_month_day", "display_name"})
_IMPORTED = (
    *("accounts", "cards", "customer_branch_figures", "customer_figures", "customer_tags", "customers", "holdings"),
    *("key_tests", "loans", "monthly_balances", "relations"),
)
_IDS = "customer_id = ANY (CAST(:ids AS text[]))"
# A person may have had other ids, which were merged into this one.
_ALL_IDS = text(
    "SELECT :customer_id UNION SELECT customer_id FROM merged_customers WHERE survivor_id = :customer_id ORDER BY 1"
)
_LOCK = text(f"SELECT FROM customers WHERE {_IDS} ORDER BY customer_id FOR UPDATE")
_MOVED = "rev = pg_current_xact_id(), update_time = bank_now()"
_FORGET = {
    Part.MARKETING: f"UPDATE customers SET tag_codes = '{{}}', key_reason = NULL, key_until_date = NULL, {_MOVED}",
    Part.CONTACT_DATA: f"UPDATE customers SET {', '.join(f'{name} = NULL' for name in _HASHES)}, {_MOVED}",
    Part.RECORDS: "UPDATE customers SET "
    + ", ".join(
        f"{column.name} = NULL" for column in customers.columns if column.nullable and column.name not in _NOT_EMPTIED
    )
    + f", display_name = '{ERASED_NAME}', state = 'ERASED', gone = true, {_MOVED}",
}
_DROP_FILES = text(
    f"DELETE FROM export_chunks WHERE export_id IN (SELECT export_id FROM personal_data_exports WHERE {_IDS})"
)
_SUPPRESS = text(f"""
INSERT INTO suppressed_numbers (kind, hash, hash_key_id)
SELECT kind, hash, hash_key_id FROM customers JOIN customer_contacts USING (customer_id)
CROSS JOIN LATERAL (VALUES ('id_number', id_number_hash), ('mobile', mobile_hash)) AS h (kind, hash)
WHERE {_IDS} AND hash IS NOT NULL ORDER BY kind, hash ON CONFLICT DO NOTHING""")
_REMEMBER = text("""
INSERT INTO erased_customers AS e (customer_id, contact_data, records)
SELECT customer_id, CAST(:contact_data AS boolean), CAST(:records AS boolean)
FROM unnest(CAST(:ids AS text[])) AS customer_id ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET contact_data = e.contact_data OR excluded.contact_data,
  records = e.records OR excluded.records, erase_time = excluded.erase_time""")


async def ids_of(conn: AsyncConnection, customer_id: str) -> Sequence[str]:
    """All ids under which a person is known here."""
    return (await conn.execute(_ALL_IDS, {"customer_id": customer_id})).scalars().all()


async def read_all(tx: AsyncConnection, customer_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Every row of a person by table, as JSON, and how often which method read him; all of one instant."""
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    return await read_rows(tx, TABLES, customer_ids)


async def count_by_part(conn: AsyncConnection, customer_ids: Sequence[str]) -> Mapping[Part, Mapping[str, int]]:
    """How many rows of which tables each part of a person's data is."""
    return {
        part: await count_rows(conn, [table for table in TABLES if table.part is part], customer_ids) for part in Part
    }


async def hold_still(tx: AsyncConnection, customer_ids: Sequence[str]) -> bool:
    """Keeps imports out, and others from changing a person, until `tx` ends; False while an import is under way."""
    for name in _IMPORTED:
        if not await try_lock_imports(tx, name):
            return False
    await tx.execute(_LOCK, {"ids": list(customer_ids)})
    return True


async def erase(tx: AsyncConnection, customer_ids: Sequence[str], parts: Collection[Part]) -> int:
    """Erases parts of a person, and sees to it that he is not contacted and that no import brings them back.

    Says how many rows went. He must be held still.
    """
    ids = {"ids": list(customer_ids)}
    if Part.CONTACT_DATA in parts:
        await tx.execute(_SUPPRESS, ids)
    if Part.RECORDS in parts:
        await tx.execute(_DROP_FILES, ids)
    count = await erase_rows(tx, TABLES, customer_ids, parts)
    for part in Part:
        if part in parts:
            await tx.execute(text(f"{_FORGET[part]} WHERE {_IDS}"), ids)
    told = {"contact_data": Part.CONTACT_DATA in parts, "records": Part.RECORDS in parts}
    await tx.execute(_REMEMBER, ids | told)
    return count
