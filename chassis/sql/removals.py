"""That no import of a whole table empties it by accident: a file that was cut short, or one that nobody filled."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused

# Below it a bank is young, or a test: there is little to lose.
STORED_MIN = 1_000

# (transaction, staging table): how many live rows are stored, and how many of them the import leaves alive.
Remaining = Callable[[AsyncConnection, str], Awaitable[tuple[int, int]]]


def remaining(table: str, key: Sequence[str], live: str = "true", told: str = "true") -> Remaining:
    """Makes the count for a table; `live` says of its row `t`, and `told` of the staged row `s`, that it counts."""
    same_key = " AND ".join(f"s.{name} = t.{name}" for name in key)

    async def count(tx: AsyncConnection, staging: str) -> tuple[int, int]:
        query = f"""
SELECT count(*), count(s.{key[0]}) FROM {table} AS t LEFT JOIN {staging} AS s ON {same_key} AND ({told})
WHERE {live}"""  # noqa: S608 - names and conditions of our own
        stored, left = (await tx.execute(text(query))).one()
        return stored, left

    return count


async def refuse_mass_removal(tx: AsyncConnection, table: str, staging: str, count: Remaining) -> None:
    """Refuses an import that would end or empty more than half of what is stored and alive."""
    stored, left = await count(tx, staging)
    if stored >= STORED_MIN and left * 2 < stored:
        message = (
            f"{table}: only {left:,} of {stored:,} stored rows would be left; "
            "if that is meant, import it again with removals allowed"
        )
        told = {"table": table, "stored": str(stored), "remaining": str(left)}
        raise Refused(Kind.PRECONDITION, "MASS_REMOVAL", message, told)
