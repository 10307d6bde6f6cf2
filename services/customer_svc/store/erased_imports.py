"""What sources still tell of people who were erased: it is dropped before anything else looks at it."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.data_keys import HASH_BYTES, ContactKind
from chassis.sql.bulk import BulkTable, RowError

_ANYBODY = text("SELECT EXISTS (SELECT FROM erased_customers)")
_ANY_NUMBER = text("SELECT EXISTS (SELECT FROM suppressed_numbers)")
# What serves marketing only is not computed anew of one who wanted to be erased, though he may still be a customer.
_MARKETING = frozenset({"customer_tags", "key_tests"})
_SEALED = ", ".join(f"{kind}_{part} = NULL" for kind in ContactKind for part in ("hash", "older_hashes", "cipher"))


def without_erased(table: BulkTable) -> BulkTable:
    """The same table, whose staged rows of erased people are dropped, as far as they were erased.

    Of customers who come with the number of an erased person it is noted that they are not to be contacted.
    """
    if "customer_id" not in table.schema.names:
        return table

    async def check(tx: AsyncConnection, staging: str) -> list[RowError]:
        if (await tx.execute(_ANYBODY)).scalar_one():
            await _drop(tx, staging, table)
        if table.name == "customers" and (await tx.execute(_ANY_NUMBER)).scalar_one():
            await _note_numbers(tx, staging)
        return await table.check(tx, staging)

    return replace(table, check=check)


async def _drop(tx: AsyncConnection, staging: str, table: BulkTable) -> None:
    erased = "true" if table.name in _MARKETING else "e.records"
    for owner in ("customer_id", "related_customer_id"):
        if owner in table.schema.names:
            gone = f"{erased} AND e.customer_id = s.{owner}"
            await tx.execute(text(f"DELETE FROM {staging} AS s USING erased_customers AS e WHERE {gone}"))
    if table.name == "customers":
        await tx.execute(
            text(
                f"UPDATE {staging} AS s SET {_SEALED} FROM erased_customers AS e"
                " WHERE e.contact_data AND e.customer_id = s.customer_id"
            )
        )


async def _note_numbers(tx: AsyncConnection, staging: str) -> None:
    """By the hash that will be stored, and by those under older keys, which the kept ones may be of."""
    for kind in ContactKind:
        await tx.execute(
            text(f"""
INSERT INTO suppressed_customers (customer_id)
SELECT s.customer_id FROM {staging} AS s JOIN suppressed_numbers AS n ON n.kind = :kind AND n.hash = s.{kind}_hash
UNION
SELECT s.customer_id FROM {staging} AS s
CROSS JOIN LATERAL generate_series(1, octet_length(s.{kind}_older_hashes), {HASH_BYTES}) AS place
JOIN suppressed_numbers AS n ON n.kind = :kind
  AND n.hash = substring(s.{kind}_older_hashes FROM place FOR {HASH_BYTES})
ORDER BY 1 ON CONFLICT DO NOTHING"""),
            {"kind": kind.value},
        )
