"""Rows of the feed that still tell the id of a customer who was merged: they belong to the survivor."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sql.bulk import BulkTable, RowError
from chassis.sql.merging import MergedTable

__all__ = ["mapped"]


def mapped(
    table: BulkTable,
    *,
    owners: Sequence[str] = ("customer_id",),
    combine: Mapping[str, str] | None = None,
    keeps_source: bool = False,
) -> BulkTable:
    """The same table, whose staged rows are mapped by `merged_customers` before anything else looks at them.

    Rows that have the same key by that become one, as `combine` says (over `o`, the survivor's, and `t`). With
    `keeps_source` it is remembered which rows the source tells under the old id, so that an undo gives them back too.
    """

    async def check(tx: AsyncConnection, staging: str) -> list[RowError]:
        is_mapped = False
        for owner in owners:
            key = tuple(name for name in table.key if name != owner)
            own = MergedTable(table.name, key, owner, dict(combine or {}))
            is_mapped |= await _map(tx, staging, own, keeps_source=keeps_source)
        if is_mapped and len(owners) > 1:
            # Nobody is related to himself.
            await tx.execute(text(f"DELETE FROM {staging} WHERE {' = '.join(owners)}"))
        return await table.check(tx, staging)

    return replace(table, check=check)


async def _map(tx: AsyncConnection, staging: str, table: MergedTable, *, keeps_source: bool) -> bool:
    """Says whether there was anything to map."""
    old = f"FROM {staging} t JOIN merged_customers m ON m.customer_id = t.{table.owner}"
    if not (await tx.execute(text(f"SELECT EXISTS (SELECT {old})"))).scalar_one():
        return False
    if keeps_source:
        await tx.execute(
            text(f"""
INSERT INTO merge_rows (customer_id, merge_id, label, row_key, fate)
SELECT m.into_id, m.merge_id, '{table.label}', {table.key_of("t")}, 'MOVED' {old}
ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING""")
        )
    # Several may have become one: each round maps one row of every key.
    changes = ", ".join(f"{name} = {expression}" for name, expression in table.combine.items())
    changes = changes or f"{table.owner} = o.{table.owner}"
    keys = ", ".join(["m.survivor_id", *(f"t.{name}" for name in table.key)])
    round_ = text(f"""
WITH picked AS MATERIALIZED (
  SELECT DISTINCT ON ({keys}) t.*, m.survivor_id {old} ORDER BY {keys}, t."row"
), joined AS (
  UPDATE {staging} o SET {changes} FROM picked t WHERE o.{table.owner} = t.survivor_id AND {table.same_key("o", "t")}
  RETURNING t."row"
), left_out AS (
  DELETE FROM {staging} s USING joined j WHERE s."row" = j."row"
), moved AS (
  UPDATE {staging} s SET {table.owner} = p.survivor_id FROM picked p
  WHERE s."row" = p."row" AND p."row" NOT IN (SELECT "row" FROM joined)
)
SELECT count(*) FROM picked""")
    while (await tx.execute(round_)).scalar_one():
        pass
    return True
