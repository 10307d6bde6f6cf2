"""Makes one customer of two in a service's tables, and two of one again: what each merge moved is kept row by row.

Every service has its part in a merge (domain.md 3); each keeps `merged_customers`, by which it maps the old id that
sources go on telling, and `merge_rows`, by which it gives back exactly what it moved.
"""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

# The row that speaks for both, of the survivor, is `o` in SQL; that of the customer who goes is `t`.
_NO_COLUMNS: Mapping[str, str] = {}

_COLUMNS = text(
    "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
    " WHERE attrelid = CAST(CAST(:name AS text) AS regclass) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
)

_UNDONE = text(
    "INSERT INTO merge_rows (customer_id, merge_id, label, row_key, fate)"
    " VALUES (:survivor_id, :merge_id, 'undone', '[]', 'ENDED') ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True)
class Merging:
    """One merge: `merged_id` goes, `survivor_id` stays."""

    merge_id: str
    survivor_id: str
    merged_id: str


@dataclass(frozen=True)
class MergedTable:
    """How a table's rows pass from one customer to another.

    `key` are the columns that tell a customer's rows apart, `owner` the one that says whose a row is. A row of which
    the survivor has one with the same key is not moved: it is left out, and `combine` says what becomes of the
    survivor's, as expressions over `o` (his) and `t` (the other). Rows for which `leaves_out` holds end. `touch`
    sets one column of each row that changes hands. A `derived` table is computed from others: an undo restores it as it
    was, while rows of other tables go back as they are by then.
    """

    name: str
    key: tuple[str, ...]
    owner: str = "customer_id"
    combine: Mapping[str, str] = field(default_factory=lambda: _NO_COLUMNS)
    derived: bool = False
    leaves_out: str = ""
    touch: str = ""

    @property
    def label(self) -> str:
        """What `merge_rows` calls the table."""
        return self.name if self.owner == "customer_id" else f"{self.name}.{self.owner}"

    def key_of(self, alias: str) -> str:
        """The key of a row, as `merge_rows` keeps it."""
        return f"jsonb_build_array({', '.join(f'{alias}.{name}' for name in self.key)})"

    def same_key(self, one: str, other: str) -> str:
        """Says that two rows have the same key."""
        return " AND ".join(["true", *(f"{one}.{name} = {other}.{name}" for name in self.key)])


async def add_merged(tx: AsyncConnection, merging: Merging) -> bool:
    """Remembers who is gone and into whom; False if this merge was added before, also if it was undone since.

    Whoever was merged into him before has the new survivor now. The survivor must be living: so no circle can be.
    """
    added = await tx.execute(
        text(
            "INSERT INTO merged_customers (customer_id, survivor_id, into_id, merge_id)"
            " SELECT :merged_id, :survivor_id, :survivor_id, :merge_id WHERE NOT EXISTS (SELECT FROM merge_rows"
            "   WHERE customer_id = :survivor_id AND merge_id = :merge_id AND label = 'undone')"
            " ON CONFLICT DO NOTHING"
        ),
        vars(merging),
    )
    if not added.rowcount:
        return False
    await tx.execute(
        text("UPDATE merged_customers SET survivor_id = :survivor_id WHERE survivor_id = :merged_id"), vars(merging)
    )
    return True


async def remove_merged(tx: AsyncConnection, merging: Merging, *, again: bool = False) -> bool:
    """Forgets that he is gone: whoever was merged into him has him again; False if this merge does not stand.

    It cannot be added again, so that no call that was late brings it back; unless `again`.
    """
    removed = await tx.execute(
        text(
            "DELETE FROM merged_customers"
            " WHERE customer_id = :merged_id AND merge_id = :merge_id AND into_id = :survivor_id"
        ),
        vars(merging),
    )
    if not removed.rowcount:
        return False
    if not again:
        await tx.execute(_UNDONE, vars(merging))
    await tx.execute(
        text("""
WITH RECURSIVE below (customer_id) AS (
  SELECT customer_id FROM merged_customers WHERE into_id = :merged_id
  UNION ALL SELECT m.customer_id FROM merged_customers m JOIN below b ON m.into_id = b.customer_id
)
UPDATE merged_customers SET survivor_id = :merged_id WHERE customer_id IN (SELECT customer_id FROM below)"""),
        vars(merging),
    )
    return True


async def survivor_of(tx: AsyncConnection, customer_id: str) -> str | None:
    """The living customer who has all that was this one's; None if he is not merged."""
    found = await tx.execute(
        text("SELECT survivor_id FROM merged_customers WHERE customer_id = :customer_id"), {"customer_id": customer_id}
    )
    return found.scalar_one_or_none()


async def unite(tx: AsyncConnection, tables: Sequence[MergedTable], merging: Merging) -> dict[str, int]:
    """Gives the survivor what the other has, and keeps what is needed to give it back; rows by table."""
    counts: dict[str, int] = {}
    for table in tables:
        noted = await tx.execute(_noted(table), vars(merging))
        counts[table.label] = noted.rowcount
        if noted.rowcount:
            for statement in _moving(table):
                await tx.execute(statement, vars(merging))
    return counts


async def divide(tx: AsyncConnection, tables: Sequence[MergedTable], merging: Merging) -> dict[str, int]:
    """Gives back what `unite` moved, and forgets it; rows by table.

    Where both had a row, the other's is made anew, and the survivor's is as it was unless it has changed since.
    """
    counts: dict[str, int] = {}
    for table in reversed(tables):
        counts[table.label] = 0
        columns: str = (await tx.execute(_COLUMNS, {"name": table.name})).scalar_one()
        for statement in _restoring(table, columns) if table.derived else _returning(table, columns):
            counts[table.label] += (await tx.execute(statement, vars(merging))).rowcount
        await tx.execute(_forgotten(table), vars(merging))
    return counts


def _noted(table: MergedTable) -> TextClause:
    """Of what is only moved no image is needed, unless it is restored as it was."""
    t, left_out = table.name, table.leaves_out or "false"
    image = "to_jsonb(t)" if table.derived else "CASE WHEN gone OR o.{owner} IS NOT NULL THEN to_jsonb(t) END"
    return _sql(
        f"""
INSERT INTO merge_rows (customer_id, merge_id, label, row_key, fate, image, kept_image)
SELECT :survivor_id, :merge_id, '{table.label}', {table.key_of("t")},
  CASE WHEN gone THEN 'ENDED' WHEN o.{{owner}} IS NOT NULL THEN 'JOINED' ELSE 'MOVED' END,
  {image}, CASE WHEN NOT gone THEN to_jsonb(o) END
FROM {t} t CROSS JOIN LATERAL (SELECT {left_out} AS gone) AS g
  LEFT JOIN {t} o ON o.{{owner}} = :survivor_id AND {table.same_key("o", "t")}
WHERE t.{{owner}} = :merged_id
ON CONFLICT DO NOTHING""",
        table,
    )


def _moving(table: MergedTable) -> list[TextClause]:
    t = table.name
    of_both = f"o.{{owner}} = :survivor_id AND t.{{owner}} = :merged_id AND {table.same_key('o', 't')}"
    statements: list[str] = []
    if table.leaves_out:
        statements.append(f"DELETE FROM {t} t WHERE t.{{owner}} = :merged_id AND ({table.leaves_out})")
    if table.combine:
        changes = ", ".join(f"{name} = {expression}" for name, expression in table.combine.items())
        statements += [
            f"UPDATE {t} o SET {changes}{{touch}} FROM {t} t WHERE {of_both}",
            f"""
UPDATE merge_rows r SET united_image = to_jsonb(o) FROM {t} o
WHERE r.customer_id = :survivor_id AND r.merge_id = :merge_id AND r.label = '{table.label}' AND r.fate = 'JOINED'
  AND o.{{owner}} = :survivor_id AND {table.key_of("o")} = r.row_key""",
        ]
    statements += [
        f"""
UPDATE {t} t SET {{owner}} = :survivor_id{{touch}} WHERE t.{{owner}} = :merged_id
  AND NOT EXISTS (SELECT FROM {t} o WHERE o.{{owner}} = :survivor_id AND {table.same_key("o", "t")})""",
        f"DELETE FROM {t} WHERE {{owner}} = :merged_id",
    ]
    return [_sql(statement, table) for statement in statements]


def _returning(table: MergedTable, columns: str) -> list[TextClause]:
    """Moved rows go back as they are now; others are made anew, also if the survivor's is gone since."""
    t = table.name
    statements = [
        f"""
UPDATE {t} t SET {{owner}} = :merged_id{{touch}} FROM merge_rows r WHERE {{mine}} AND r.fate = 'MOVED'
  AND t.{{owner}} = :survivor_id AND {table.key_of("t")} = r.row_key""",
        f"{_anew(t, columns, 'image')} AND r.fate IN ('JOINED', 'ENDED')) made ON CONFLICT DO NOTHING",
    ]
    if table.combine:
        # As a whole, but for what `touch` sets: an image knows no other way to tell which columns were changed.
        combined = ", ".join(f"{name} = (jsonb_populate_record(o, r.kept_image)).{name}" for name in table.combine)
        statements.append(
            f"""
UPDATE {t} o SET {combined}{{touch}} FROM merge_rows r WHERE {{mine}} AND r.fate = 'JOINED'
  AND o.{{owner}} = :survivor_id AND {table.key_of("o")} = r.row_key AND {{unmoved}}"""
        )
    return [_sql(statement, table) for statement in statements]


def _restoring(table: MergedTable, columns: str) -> list[TextClause]:
    t = table.name
    statements = [
        f"""
DELETE FROM {t} t USING merge_rows r WHERE {{mine}} AND t.{{owner}} IN (:survivor_id, :merged_id)
  AND {table.key_of("t")} = r.row_key""",
        *(
            f"{_anew(t, columns, image)} AND r.{image} IS NOT NULL) made ON CONFLICT DO NOTHING"
            for image in ("kept_image", "image")
        ),
    ]
    if table.touch:
        statements.append(f"""
UPDATE {t} t SET {table.touch} FROM merge_rows r WHERE {{mine}} AND t.{{owner}} IN (:survivor_id, :merged_id)
  AND {table.key_of("t")} = r.row_key""")
    return [_sql(statement, table) for statement in statements]


def _anew(name: str, columns: str, image: str) -> str:
    """Makes rows from their images; what PostgreSQL computes of the others is computed again."""
    return (
        f"INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM ("
        f"SELECT (jsonb_populate_record(NULL::{name}, r.{image})).* FROM merge_rows r WHERE {{mine}}"
    )


def _forgotten(table: MergedTable) -> TextClause:
    return _sql("DELETE FROM merge_rows r WHERE {mine}", table)


def _sql(statement: str, table: MergedTable) -> TextClause:
    """All names are of our own tables."""
    mine = f"r.customer_id = :survivor_id AND r.merge_id = :merge_id AND r.label = '{table.label}'"
    touch = f", {table.touch}" if table.touch else ""
    # What is set whenever a row changes hands tells nothing of other changes.
    column = table.touch.partition(" ")[0]
    unmoved = f"to_jsonb(o) - '{column}' = r.united_image - '{column}'"
    statement = statement.replace("{unmoved}", unmoved)
    return text(statement.replace("{mine}", mine).replace("{owner}", table.owner).replace("{touch}", touch))
