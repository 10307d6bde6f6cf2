"""Pairs of customers who may be one: found over the whole bank, listed, dismissed and opened again."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, and_, exists, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.merges import Duplicate, DuplicateCustomer
from services.customer_svc.domain.viewing import Level, Scope
from services.customer_svc.store.scope import found, opened
from services.customer_svc.store.tables import customers, owners
from services.customer_svc.store.tables_merges import duplicate_day, duplicates

# Whoever shares a value with more customers than this has none of his own: the data are at fault.
SHARED_MAX = 10
_PAIRS_AT_ONCE = 5_000
# The strongest first; further ones make it a little surer.
_FIND = text("""
WITH keyed AS (
  SELECT customer_id, 'ID_NUMBER' AS match, customer_type || id_type || encode(id_number_hash, 'hex') AS value
  FROM customers WHERE NOT gone AND id_number_hash IS NOT NULL
  UNION ALL
  SELECT customer_id, 'MOBILE_NAME', encode(mobile_hash, 'hex') || display_name
  FROM customers WHERE NOT gone AND customer_type = 'INDIVIDUAL' AND mobile_hash IS NOT NULL
    AND display_name IS NOT NULL
  UNION ALL
  SELECT customer_id, 'NAME_BIRTH_DATE', birth_date || display_name
  FROM customers WHERE NOT gone AND customer_type = 'INDIVIDUAL' AND birth_date IS NOT NULL
    AND display_name IS NOT NULL
), shared AS (
  SELECT match, array_agg(customer_id ORDER BY customer_id) AS ids FROM keyed
  GROUP BY match, value HAVING count(*) BETWEEN 2 AND :most
), pairs AS (
  SELECT a.id AS customer_id, b.id AS other_id, array_agg(DISTINCT match) AS found
  FROM shared, unnest(ids) WITH ORDINALITY AS a (id, place), unnest(ids) WITH ORDINALITY AS b (id, place)
  WHERE a.place < b.place GROUP BY a.id, b.id
)
SELECT customer_id, other_id,
  ARRAY(SELECT m FROM unnest(ARRAY['ID_NUMBER', 'MOBILE_NAME', 'NAME_BIRTH_DATE']) AS m WHERE m = ANY (found))
    AS matches,
  least(100, (CASE WHEN 'ID_NUMBER' = ANY (found) THEN 95 WHEN 'MOBILE_NAME' = ANY (found) THEN 80 ELSE 60 END)
    + 10 * (cardinality(found) - 1)) AS score
FROM pairs
""")
_DROP_OTHERS = text("DELETE FROM duplicates WHERE state = 'OPEN' AND find_time < :started")
_OPEN_COUNT = text("SELECT count(*) FROM duplicates WHERE state = 'OPEN'")


@dataclass(frozen=True)
class Wanted:
    """Which pairs to list."""

    state: str = "OPEN"
    customer_id: str | None = None


@dataclass(frozen=True)
class Reach:
    """Whose pairs a viewer sees: those on whose primary side he is in both cases; head office those without owners."""

    scope: Scope
    at_top: bool


# The sureness and the two ids of the last pair of a page.
Place = tuple[int, str, str]


async def find(conn: AsyncConnection) -> AsyncGenerator[Sequence[Row[Any]]]:
    """All pairs of the bank as they are now, some at a time, without holding any feed back."""
    await conn.execute(text("SELECT set_config('work_mem', '256MB', false)"))
    async with conn.stream(_FIND, {"most": SHARED_MAX}) as rows:
        async for some in rows.partitions(_PAIRS_AT_ONCE):
            yield some


async def put(tx: AsyncConnection, pairs: Sequence[Row[Any]], duplicate_ids: Sequence[str], started: datetime) -> None:
    """Stores pairs that were found. A dismissed one stays dismissed; one that is found again keeps its time."""
    statement = upsert(duplicates)
    new = statement.excluded
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["customer_id", "other_id"],
            set_={"matches": new.matches, "score": new.score, "find_time": new.find_time},
        ),
        [
            {
                "customer_id": row.customer_id,
                "other_id": row.other_id,
                "duplicate_id": duplicate_id,
                "matches": row.matches,
                "score": row.score,
                "find_time": started,
            }
            for row, duplicate_id in zip(pairs, duplicate_ids, strict=True)
        ],
    )


async def drop_others(tx: AsyncConnection, started: datetime) -> None:
    """Forgets open pairs that a search which began then did not find."""
    await tx.execute(_DROP_OTHERS, {"started": started})


async def open_count(conn: AsyncConnection) -> int:
    """How many pairs wait for somebody to look."""
    return (await conn.execute(_OPEN_COUNT)).scalar_one()


async def bank_now(conn: AsyncConnection) -> datetime:
    """The instant that the bank's clock shows."""
    return (await conn.execute(text("SELECT bank_now()"))).scalar_one()


async def due_date(conn: AsyncConnection) -> date | None:
    """The business date of the customers who came since the last search; None if none came."""
    d = duplicate_day.c
    behind = or_(d.found_date.is_(None), d.found_date < d.customers_date)
    return (await conn.execute(select(d.customers_date).where(behind))).scalar_one_or_none()


async def set_customers_date(tx: AsyncConnection, day: date) -> None:
    """Remembers that the customers of a business date are here."""
    await _set_day(tx, {"customers_date": day})


async def set_found_date(tx: AsyncConnection, day: date) -> None:
    """Remembers that the pairs among the customers of a business date were found."""
    await _set_day(tx, {"found_date": day})


async def _set_day(tx: AsyncConnection, values: dict[str, date]) -> None:
    statement = upsert(duplicate_day).values(only_row=1, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["only_row"], set_=values))


async def page(conn: AsyncConnection, wanted: Wanted, reach: Reach, after: Place | None, limit: int) -> list[Duplicate]:
    """Pairs that a viewer sees, the surest first, beginning after a place."""
    d = duplicates.c
    query = _seen(reach).where(d.state == wanted.state).order_by(d.score.desc(), d.customer_id, d.other_id).limit(limit)
    if wanted.customer_id is not None:
        query = query.where(or_(d.customer_id == wanted.customer_id, d.other_id == wanted.customer_id))
    if after is not None:
        score, *ids = after
        behind = tuple_(d.customer_id, d.other_id) > tuple_(*ids)
        query = query.where(or_(d.score < score, and_(d.score == score, behind)))
    return [_duplicate(row) for row in await conn.execute(query)]


async def get(conn: AsyncConnection, duplicate_id: str, reach: Reach) -> Duplicate | None:
    """One pair, if the viewer sees it."""
    row = (await conn.execute(_seen(reach).where(duplicates.c.duplicate_id == duplicate_id))).one_or_none()
    return None if row is None else _duplicate(row)


async def set_state(tx: AsyncConnection, duplicate_id: str, state: str, reason: str, actor: str) -> None:
    """Dismisses a pair, or opens it again."""
    values = {"state": state, "dismiss_reason": reason, "actor": actor, "update_time": text("bank_now()")}
    await tx.execute(update(duplicates).where(duplicates.c.duplicate_id == duplicate_id).values(**values))


def _seen(reach: Reach) -> Any:  # noqa: ANN401 -- a select of two aliases of one table, which no type tells
    one, other = customers.alias("one"), customers.alias("other")
    d = duplicates.c
    parts = [
        d.duplicate_id,
        d.customer_id,
        d.other_id,
        d.matches,
        d.score,
        d.state,
        d.dismiss_reason,
        d.update_time,
    ]
    for name, who in (("one", one), ("other", other)):
        parts += [
            who.c.display_name.label(f"{name}_name"),
            who.c.birth_date.label(f"{name}_birth_date"),
            who.c.customer_since_date.label(f"{name}_since_date"),
            select(owners.c.branch_id)
            .where(owners.c.customer_id == who.c.customer_id, owners.c.side == "PRIMARY")
            .scalar_subquery()
            .label(f"{name}_branch_id"),
        ]
    return (
        select(*parts)
        .join(one, and_(one.c.customer_id == d.customer_id, ~one.c.gone))
        .join(other, and_(other.c.customer_id == d.other_id, ~other.c.gone))
        .where(_is_seen(d.customer_id, reach), _is_seen(d.other_id, reach))
    )


def _is_seen(customer_id: Any, reach: Reach) -> Any:  # noqa: ANN401 -- expressions of SQL
    row = owners.alias()
    seen = found(row, row.c.customer_id == customer_id, opened(row, reach.scope, Level.PRIMARY))
    if not reach.at_top:
        return seen
    return or_(seen, ~exists().where(owners.c.customer_id == customer_id))


def _duplicate(row: Row[Any]) -> Duplicate:
    one = (row.customer_id, row.one_name, row.one_birth_date, row.one_since_date, row.one_branch_id)
    other = (row.other_id, row.other_name, row.other_birth_date, row.other_since_date, row.other_branch_id)
    return Duplicate(
        row.duplicate_id,
        (DuplicateCustomer(*one), DuplicateCustomer(*other)),
        matches=row.matches,
        score=row.score,
        state=row.state,
        dismiss_reason=row.dismiss_reason,
        update_time=row.update_time,
    )
