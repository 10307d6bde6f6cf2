"""Moves customers from one branch to another: facts, rows, holds and pending requests, many at a time.

History keeps the old branch: what ends there becomes a period, and the row at the target begins on the day.
"""

# ruff: noqa: S608 -- the names in statements are those of our own tables

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Date, Integer, Result, Text, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store.merged_tables import FACTS_AS_STORED
from services.assignment_svc.store.tables import OWNER_COLUMNS

_OF = "customer_id = ANY (CAST(:customer_ids AS text[]))"
_LEFT = """
SELECT customer_id FROM owner WHERE branch_id = :branch_id
UNION SELECT customer_id FROM branch_facts WHERE branch_id = :branch_id
UNION SELECT customer_id FROM ownership_hold WHERE branch_id = :branch_id
"""
_LEFT_OF_MANAGERS = "SELECT customer_id FROM owner WHERE branch_id = :branch_id AND manager_id = ANY (:manager_ids)"
_COUNT = "SELECT count(*) FROM ({left}) l"
_NEXT = "SELECT customer_id FROM ({left}) l ORDER BY customer_id LIMIT :limit"

_PLACES = f"""
SELECT count(*) FILTER (WHERE here.side = 'PRIMARY') AS primary_count, count(there.customer_id) AS united_count
FROM owner here LEFT JOIN owner there ON there.customer_id = here.customer_id AND there.branch_id = :target_id
WHERE here.branch_id = :branch_id AND here.{_OF}
"""
# Evidence may go on naming the branch as it was called then. Whoever waits for an answer goes on waiting, for the head
# of the target.
_MOVES = f"""
UPDATE branch_facts o SET {", ".join(f"{name} = {how}" for name, how in FACTS_AS_STORED.items())},
  rev = pg_current_xact_id()
FROM branch_facts t
WHERE o.customer_id = t.customer_id AND o.branch_id = :target_id AND t.branch_id = :branch_id AND t.{_OF};

DELETE FROM branch_facts t WHERE branch_id = :branch_id AND {_OF}
  AND EXISTS (SELECT FROM branch_facts o WHERE o.customer_id = t.customer_id AND o.branch_id = :target_id);

UPDATE branch_facts SET branch_id = :target_id, rev = pg_current_xact_id() WHERE branch_id = :branch_id AND {_OF};

-- What ends: the rows here, and those there that change their side.
INSERT INTO owner_period ({OWNER_COLUMNS}, until_date)
SELECT {OWNER_COLUMNS}, greatest(from_date, CAST(:day AS date)) FROM owner o
WHERE {_OF} AND (branch_id = :branch_id OR (branch_id = :target_id AND side = 'SECONDARY' AND EXISTS (
  SELECT FROM owner h WHERE h.customer_id = o.customer_id AND h.branch_id = :branch_id AND h.side = 'PRIMARY')));

UPDATE owner o SET side = 'PRIMARY', rule = h.rule, basis = h.basis, amount_minor = h.amount_minor,
  rival_branch_id = NULL, rival_amount_minor = NULL, held_by_margin = false, since_date = :day, from_date = :day,
  due_date = h.due_date, actor = :actor, create_time = bank_now()
FROM owner h
WHERE o.{_OF} AND o.branch_id = :target_id AND o.side = 'SECONDARY'
  AND h.customer_id = o.customer_id AND h.branch_id = :branch_id AND h.side = 'PRIMARY';

UPDATE owner o SET named_manager_id = h.named_manager_id FROM owner h
WHERE o.{_OF} AND o.branch_id = :target_id AND o.named_manager_id IS NULL
  AND h.customer_id = o.customer_id AND h.branch_id = :branch_id;

DELETE FROM owner h WHERE branch_id = :branch_id AND {_OF}
  AND EXISTS (SELECT FROM owner o WHERE o.customer_id = h.customer_id AND o.branch_id = :target_id);

UPDATE owner SET branch_id = :target_id, since_date = :day, from_date = :day, actor = :actor, create_time = bank_now()
WHERE branch_id = :branch_id AND {_OF};

UPDATE ownership_hold SET branch_id = :target_id, rev = pg_current_xact_id() WHERE branch_id = :branch_id AND {_OF};

DELETE FROM row_protection p WHERE branch_id = :branch_id AND {_OF}
  AND EXISTS (SELECT FROM row_protection o WHERE o.customer_id = p.customer_id AND o.branch_id = :target_id);

UPDATE row_protection SET branch_id = :target_id WHERE branch_id = :branch_id AND {_OF};

UPDATE ownership_request SET
  from_branch_id = CASE WHEN from_branch_id = :branch_id THEN :target_id ELSE from_branch_id END,
  to_branch_id = CASE WHEN to_branch_id = :branch_id THEN :target_id ELSE to_branch_id END
WHERE {_OF} AND state IN ('PENDING', 'SILENT') AND :branch_id IN (from_branch_id, to_branch_id);

UPDATE request_approval SET
  branch_id = CASE WHEN branch_id = :branch_id THEN :target_id ELSE branch_id END,
  desk_branch_id = CASE WHEN desk_branch_id = :branch_id THEN :target_id ELSE desk_branch_id END
WHERE {_OF} AND answer = 'WAITING' AND :branch_id IN (branch_id, desk_branch_id)
"""
_UNASSIGNED = f"SELECT count(*) FROM owner WHERE {_OF} AND branch_id = :target_id AND manager_id IS NULL"
_CHILDREN = """
UPDATE branch SET parent_id = :target_id, rev = pg_current_xact_id(), update_time = bank_now()
WHERE parent_id = :branch_id
"""
# What was recoded to a branch that goes is recoded to where that goes; nothing is recoded in a circle.
_ALIAS = """
UPDATE branch_alias SET target_id = :target_id WHERE target_id = :branch_id;

DELETE FROM customer_branch_alias WHERE branch_id = :target_id AND target_id = :branch_id;

UPDATE customer_branch_alias SET target_id = :target_id WHERE target_id = :branch_id;

INSERT INTO branch_alias (branch_id, target_id) VALUES (:branch_id, :target_id)
ON CONFLICT (branch_id) DO UPDATE SET target_id = excluded.target_id
"""
_ALIAS_CUSTOMERS = f"""
DELETE FROM customer_branch_alias WHERE {_OF} AND branch_id = :target_id AND target_id = :branch_id;

UPDATE customer_branch_alias SET target_id = :target_id WHERE {_OF} AND target_id = :branch_id;

INSERT INTO customer_branch_alias (customer_id, branch_id, target_id)
SELECT DISTINCT id, :branch_id, :target_id FROM unnest(CAST(:customer_ids AS text[])) AS i (id)
ON CONFLICT (customer_id, branch_id) DO UPDATE SET target_id = excluded.target_id
"""
# Where customers have something at a branch that handed them on.
_RECODED = text("""
WITH place AS (
  SELECT customer_id, branch_id FROM owner UNION SELECT customer_id, branch_id FROM branch_facts
  UNION SELECT customer_id, branch_id FROM ownership_hold UNION SELECT customer_id, branch_id FROM row_protection
)
SELECT p.branch_id, coalesce(c.target_id, b.target_id) AS target_id, array_agg(p.customer_id) AS customer_ids
FROM place p LEFT JOIN branch_alias b USING (branch_id) LEFT JOIN customer_branch_alias c USING (customer_id, branch_id)
WHERE p.customer_id = ANY (CAST(:customer_ids AS text[])) AND coalesce(c.target_id, b.target_id) IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1
""")


@dataclass(frozen=True)
class Move:
    """From which branch to which; with `manager_ids` only these managers' customers."""

    branch_id: str
    target_id: str
    manager_ids: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Places:
    """How many of the customers stood on the branch's primary side, and how many had a row at the target too."""

    primary: int
    united: int


async def left_count(conn: AsyncConnection, move: Move) -> int:
    """How many customers are still to be moved."""
    return (await conn.execute(_left(_COUNT, move), _values(move))).scalar_one()


async def next_customers(conn: AsyncConnection, move: Move, limit: int) -> list[str]:
    """The first of those who are still to be moved, in the order of ids."""
    statement = _left(_NEXT, move).bindparams(bindparam("limit", type_=Integer))
    return list((await conn.execute(statement, {**_values(move), "limit": limit})).scalars())


async def move_customers(tx: AsyncConnection, move: Move, customer_ids: Sequence[str], day: date, actor: str) -> Places:
    """Moves these customers, who are locked; allocation must look at them after it."""
    values = {
        "branch_id": move.branch_id,
        "target_id": move.target_id,
        "customer_ids": list(customer_ids),
        "day": day,
        "actor": actor,
    }
    places = (await _run(tx, _PLACES, values)).one()
    await _script(tx, _MOVES, values)
    return Places(places.primary_count, places.united_count)


async def move_recoded(tx: AsyncConnection, customer_ids: Sequence[str], day: date, actor: str) -> None:
    """Moves what these customers, who are locked, have at branches that handed it on, to where it counts now."""
    while found := (await tx.execute(_RECODED, {"customer_ids": list(customer_ids)})).one_or_none():
        await move_customers(tx, Move(found.branch_id, found.target_id), found.customer_ids, day, actor)


async def unassigned_count(conn: AsyncConnection, target_id: str, customer_ids: Sequence[str]) -> int:
    """How many of the customers the target's virtual manager looks after."""
    values = {"target_id": target_id, "customer_ids": list(customer_ids)}
    return (await conn.execute(text(_UNASSIGNED), values)).scalar_one()


async def recode_branch(tx: AsyncConnection, move: Move) -> None:
    """Has everything that the feed tells of the branch count for the target from now on."""
    await _script(tx, _ALIAS, {"branch_id": move.branch_id, "target_id": move.target_id})


async def recode_customers(tx: AsyncConnection, move: Move, customer_ids: Sequence[str]) -> None:
    """Has what the feed tells of these customers at the branch count for the target from now on."""
    values = {"branch_id": move.branch_id, "target_id": move.target_id, "customer_ids": list(customer_ids)}
    await _script(tx, _ALIAS_CUSTOMERS, values)


async def hand_on_children(tx: AsyncConnection, move: Move) -> None:
    """Puts the branches below the one that goes below the target."""
    await _run(tx, _CHILDREN, {"branch_id": move.branch_id, "target_id": move.target_id})


def _left(statement: str, move: Move) -> TextClause:
    return text(statement.replace("{left}", _LEFT if move.manager_ids is None else _LEFT_OF_MANAGERS))


def _values(move: Move) -> dict[str, object]:
    of_managers = {} if move.manager_ids is None else {"manager_ids": list(move.manager_ids)}
    return {"branch_id": move.branch_id, **of_managers}


async def _script(tx: AsyncConnection, statements: str, values: Mapping[str, object]) -> None:
    for statement in statements.split(";\n\n"):
        await _run(tx, statement, values)


async def _run(tx: AsyncConnection, statement: str, values: Mapping[str, object]) -> Result[Any]:
    named = {name: value for name, value in values.items() if f":{name}" in statement}
    types = [bindparam(name, type_=Date if name == "day" else Text) for name in named if name != "customer_ids"]
    return await tx.execute(text(statement).bindparams(*types), named)
