"""From staging into the table: insert what is new, update what differs, leave the rest unwritten."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

# (transaction, staging table, first key column's lower end exclusive, its upper end inclusive) → inserted, updated.
Upsert = Callable[[AsyncConnection, str, str, str], Awaitable[tuple[int, int]]]


def default_upsert(target: Table, key: Sequence[str], columns: Sequence[str], root: Table | None = None) -> Upsert:
    """Makes the upsert of staging's `columns` into a table whose unique `key` is among them.

    Rows equal to the stored ones are only read. A `rev` of the target moves with each row written; so does the `rev` of
    `root`, the feed's root table, for each of its rows (found by its one key column) of which a row was written.
    """
    template = _statement(target, key, columns, root)

    async def upsert(tx: AsyncConnection, staging: str, lower: str, upper: str) -> tuple[int, int]:
        statement = text(template.replace("{staging}", staging))
        inserted, updated = (await tx.execute(statement, {"lower": lower, "upper": upper})).one()
        return inserted, updated

    return upsert


def _statement(target: Table, key: Sequence[str], columns: Sequence[str], root: Table | None) -> str:
    """All names come from our own tables, never from a caller."""
    others = [column for column in columns if column not in key]
    versioned = "rev" in target.c
    written = [*columns, *(["rev"] if versioned else [])]
    source = [*(f's."{c}"' for c in columns), *(["pg_current_xact_id()"] if versioned else [])]
    changes = [f'"{c}" = excluded."{c}"' for c in [*others, *(["rev"] if versioned else [])]]
    differs = f"({_list('t', others)}) IS DISTINCT FROM ({_list('excluded', others)})"
    then = f"DO UPDATE SET {', '.join(changes)} WHERE {differs}" if others else "DO NOTHING"
    new = f't0."{key[0]}" IS NULL'
    wanted = f"{new} OR ({_list('t0', others)}) IS DISTINCT FROM ({_list('s', others)})" if others else new
    within = f'{{alias}}."{key[0]}" > :lower AND {{alias}}."{key[0]}" <= :upper'
    # Bounded on both sides: a merge join would otherwise read the target from its start for each batch.
    same_key = " AND ".join([*(f't0."{c}" = s."{c}"' for c in key), within.format(alias="t0")])
    # The anti-join keeps rows that did not change from being locked, which would write each of them.
    upserted = f"""
INSERT INTO "{target.name}" AS t ({_quoted(written)})
SELECT {", ".join(source)} FROM {{staging}} AS s LEFT JOIN "{target.name}" AS t0 ON {same_key}
WHERE {within.format(alias="s")} AND ({wanted})
ORDER BY {_list("s", key)}
ON CONFLICT ({_quoted(key)}) {then}
RETURNING old."{key[0]}" IS NULL AS is_new"""  # noqa: S608 -- names of our own tables
    touched = ""
    if root is not None:
        (root_key,) = (column.name for column in root.primary_key)
        upserted += f', t."{root_key}" AS root_key'
        touched = f""", locked AS (
SELECT "{root_key}" FROM "{root.name}" WHERE "{root_key}" IN (SELECT root_key FROM written)
ORDER BY "{root_key}" FOR UPDATE
), touched AS (
UPDATE "{root.name}" AS r SET rev = pg_current_xact_id() FROM locked WHERE r."{root_key}" = locked."{root_key}"
)"""  # noqa: S608 -- names of our own tables
    counts = "SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"
    return f"WITH written AS ({upserted}){touched} {counts}"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _list(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f'{alias}."{name}"' for name in names)
