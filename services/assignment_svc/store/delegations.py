"""Who answers requests in a head's place, and when."""

# ruff: noqa: S608 -- the words in statements are our own

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS = (
    "delegation_id, head_id, branch_id, delegate_id, from_date, until_date, reason, create_time, end_time, end_actor"
)
_LOCK_HEAD = text("SELECT FROM staff WHERE staff_id = :head_id FOR NO KEY UPDATE")
_OVERLAPPING = text(
    "SELECT delegation_id FROM delegation WHERE head_id = :head_id AND end_time IS NULL"
    " AND from_date <= :until_date AND until_date >= :from_date ORDER BY from_date LIMIT 1"
).bindparams(bindparam("from_date", type_=Date), bindparam("until_date", type_=Date))
_ADD = text(
    "INSERT INTO delegation (delegation_id, head_id, branch_id, delegate_id, from_date, until_date, reason)"
    " VALUES (:delegation_id, :head_id, :branch_id, :delegate_id, :from_date, :until_date, :reason)"
    f" RETURNING {_COLUMNS}"
)
_END = text(
    "UPDATE delegation SET end_time = bank_now(), end_actor = :actor"
    f" WHERE delegation_id = :delegation_id AND end_time IS NULL RETURNING {_COLUMNS}"
)
_SEEN = "(head_id = :staff_id OR delegate_id = :staff_id OR branch_id = ANY (CAST(:led AS text[])))"
_GET = text(f"SELECT {_COLUMNS} FROM delegation WHERE delegation_id = :delegation_id AND {_SEEN}")
_PAGE = text(
    f"SELECT {_COLUMNS} FROM delegation"
    f" WHERE {_SEEN} AND (create_time, delegation_id) < (:before_time, :before_id)"
    " ORDER BY create_time DESC, delegation_id DESC LIMIT :limit"
).bindparams(bindparam("before_time", type_=DateTime(timezone=True)), bindparam("before_id", type_=Text))


@dataclass(frozen=True)
class Delegation:
    """Days, the last one included, on which somebody answers in a head's place; ended by hand it counts no more."""

    delegation_id: str
    head_id: str
    branch_id: str
    delegate_id: str
    from_date: date
    until_date: date
    reason: str
    create_time: datetime
    end_time: datetime | None
    end_actor: str | None


@dataclass(frozen=True)
class Named:
    """Whom a head names, for which days and why."""

    delegation_id: str
    head_id: str
    branch_id: str
    delegate_id: str
    from_date: date
    until_date: date
    reason: str


@dataclass(frozen=True)
class Looking:
    """Who looks, and the branches that he leads: he sees his own, those he stands in by, and theirs."""

    staff_id: str
    led: frozenset[str]


async def lock_head(tx: AsyncConnection, head_id: str) -> None:
    """Lets nobody else name a delegate of this head until `tx` ends."""
    await tx.execute(_LOCK_HEAD, {"head_id": head_id})


async def overlapping(tx: AsyncConnection, named: Named) -> str | None:
    """The first of the head's delegations that has some of these days."""
    values = {"head_id": named.head_id, "from_date": named.from_date, "until_date": named.until_date}
    return (await tx.execute(_OVERLAPPING, values)).scalar_one_or_none()


async def add(tx: AsyncConnection, named: Named) -> Delegation:
    """Stores a new one."""
    return _delegation((await tx.execute(_ADD, vars(named))).one())


async def end(tx: AsyncConnection, delegation_id: str, actor: str) -> None:
    """Ends one by hand; one that was ended stays as it is."""
    await tx.execute(_END, {"delegation_id": delegation_id, "actor": actor})


async def get(conn: AsyncConnection, delegation_id: str, looking: Looking) -> Delegation | None:
    """One, if he sees it."""
    values = {"delegation_id": delegation_id, "staff_id": looking.staff_id, "led": sorted(looking.led)}
    row = (await conn.execute(_GET, values)).one_or_none()
    return None if row is None else _delegation(row)


async def page(conn: AsyncConnection, looking: Looking, before: tuple[datetime, str], limit: int) -> list[Delegation]:
    """Those that he sees, the youngest first, from before one on."""
    values = {
        "staff_id": looking.staff_id,
        "led": sorted(looking.led),
        "before_time": before[0],
        "before_id": before[1],
        "limit": limit,
    }
    return [_delegation(row) for row in await conn.execute(_PAGE, values)]


def _delegation(row: Row[Any]) -> Delegation:
    return Delegation(*row)
