"""All rows that a database keeps of one person: told as JSON table by table, or erased (domain.md 12)."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.personal_data import Part

# Nobody has as many; whoever does is no person.
ROWS_MAX = 200_000

_READS = text(
    "SELECT to_jsonb(told)::text FROM (SELECT method, count(*) AS count, min(time) AS first_time,"
    " max(time) AS last_time FROM audit WHERE customer_id = ANY (CAST(:ids AS text[])) GROUP BY method ORDER BY method)"
    " AS told"
)


@dataclass(frozen=True)
class PersonalTable:
    """A table that holds rows of customers."""

    name: str
    part: Part | None
    """With which part its rows go; None if they stay, or go by themselves as what they repeat does."""
    owners: tuple[str, ...] = ("customer_id",)
    """The columns that name whose the rows are."""
    leaves_out: tuple[str, ...] = ()
    """Columns that are not told: of the machinery, or of others."""
    told: bool = True
    """Not told is what only repeats, or is told elsewhere."""
    stays: str = ""
    """Rows `t` of which this SQL holds stay, whatever goes."""


async def read_rows(
    conn: AsyncConnection, tables: Collection[PersonalTable], customer_ids: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """Every row of a person, who may have had several ids, by table and as JSON; and how often which method read him.

    Refuses if they are too many. Reads in the caller's transaction: at REPEATABLE READ all rows are of one instant.
    """
    found: dict[str, Sequence[str]] = {}
    left = ROWS_MAX
    for table in tables:
        if table.told:
            given = {"ids": list(customer_ids), "left_out": list(table.leaves_out), "limit": left + 1}
            query = (
                f"SELECT (to_jsonb(t) - CAST(:left_out AS text[]))::text FROM {table.name} AS t"
                f" WHERE {_of(table)} ORDER BY 1 LIMIT :limit"
            )
            rows: Sequence[str] = (await conn.execute(text(query), given)).scalars().all()
            left -= len(rows)
            if left < 0:
                raise Refused(
                    Kind.EXHAUSTED,
                    "PERSONAL_DATA_TOO_LARGE",
                    f"more than {ROWS_MAX} rows are kept of this customer",
                    {"limit": str(ROWS_MAX)},
                )
            found[table.name] = rows
    found["audit"] = (await conn.execute(_READS, {"ids": list(customer_ids)})).scalars().all()
    return found


async def count_rows(
    conn: AsyncConnection, tables: Collection[PersonalTable], customer_ids: Sequence[str]
) -> Mapping[str, int]:
    """How many rows each of the tables has of a person; tables without any are left out."""
    counts: dict[str, int] = {}
    for table in tables:
        query = f"SELECT count(*) FROM {table.name} AS t WHERE {_of(table)}"
        counts[table.name] = (await conn.execute(text(query), {"ids": list(customer_ids)})).scalar_one()
    return {name: count for name, count in counts.items() if count}


async def erase_rows(
    tx: AsyncConnection, tables: Collection[PersonalTable], customer_ids: Sequence[str], parts: Collection[Part]
) -> int:
    """Deletes the rows of a person that go with these parts, and says how many they were."""
    count = 0
    for table in tables:
        if table.part in parts:
            kept = f" AND ({table.stays}) IS NOT TRUE" if table.stays else ""
            statement = text(f"DELETE FROM {table.name} AS t WHERE ({_of(table)}){kept}")
            count += (await tx.execute(statement, {"ids": list(customer_ids)})).rowcount
    return count


def _of(table: PersonalTable) -> str:
    return " OR ".join(f"t.{owner} = ANY (CAST(:ids AS text[]))" for owner in table.owners)
