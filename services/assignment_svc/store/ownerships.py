"""Who owns a customer, as stored, and his history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Date, DateTime, Integer, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.ownership import Evidence, Owner, Rule, Side, State

FEED = "ownership"
_LAST_TIME = datetime.max.replace(tzinfo=UTC)

# One statement for all: two would see two states, and a customer for a moment two primaries.
_OF_CUSTOMERS = text(
    """
SELECT a.customer_id, a.rev, a.gone, a.state, a.business_date, a.update_time,
  p.staff_id AS private_manager_id, o.branch_id, o.side, o.rule,
  o.manager_id, o.named_manager_id, o.basis, o.amount_minor, o.rival_branch_id, o.rival_amount_minor,
  o.held_by_margin, o.since_date, o.from_date, o.due_date
FROM ownership a LEFT JOIN owner o USING (customer_id) LEFT JOIN private_manager p USING (customer_id)
WHERE a.customer_id = ANY (CAST(:customer_ids AS text[])) AND NOT a.gone
ORDER BY a.customer_id, o.side, o.branch_id
"""
)
_OF_BRANCH = text(
    """
SELECT customer_id FROM owner
WHERE branch_id = :branch_id AND customer_id > :after AND (:side = '' OR side = :side)
  AND (:manager_id = '' OR manager_id = :manager_id) AND (NOT :unassigned OR manager_id IS NULL)
  AND (:opens_all OR manager_id = ANY (CAST(:manager_ids AS text[])) OR (side = 'PRIMARY' AND EXISTS (
    SELECT FROM private_manager p
    WHERE p.customer_id = owner.customer_id AND p.staff_id = ANY (CAST(:private_manager_ids AS text[]))
  )))
ORDER BY customer_id LIMIT :limit
"""
).bindparams(
    *(bindparam(name, type_=Text) for name in ("branch_id", "after", "side", "manager_id")),
    bindparam("limit", type_=Integer),
)
_PERIODS = text(
    """
SELECT * FROM (
  SELECT *, NULL::date AS until_date, 9223372036854775807 AS period_id FROM owner WHERE customer_id = :customer_id
  UNION ALL SELECT * FROM owner_period WHERE customer_id = :customer_id
) p
WHERE (from_date, create_time, branch_id, period_id) < (:from_date, :create_time, :branch_id, :period_id)
  AND (CAST(:branch_ids AS text[]) IS NULL OR branch_id = ANY (CAST(:branch_ids AS text[])))
ORDER BY from_date DESC, create_time DESC, branch_id DESC, period_id DESC LIMIT :limit
"""
).bindparams(bindparam("from_date", type_=Date), bindparam("create_time", type_=DateTime(timezone=True)))


@dataclass(frozen=True)
class Ownership:
    """A customer with all his rows, the primary first, and his private manager; `rev` changes with all of it."""

    customer_id: str
    rev: int
    gone: bool
    state: State
    business_date: date
    update_time: datetime
    owners: tuple[Owner, ...]
    private_manager_id: str | None = None

    @property
    def etag(self) -> str:
        """What a caller sends back to change what he saw."""
        return f"{self.rev:x}"


@dataclass(frozen=True)
class Place:
    """Where a page of periods starts, exclusive; the youngest come first."""

    from_date: date = date.max
    create_time: datetime = _LAST_TIME
    branch_id: str = ""
    period_id: int = 0


@dataclass(frozen=True)
class Period:
    """One row as it once was or still is."""

    owner: Owner
    until_date: date | None
    actor: str
    create_time: datetime
    period_id: int


@dataclass(frozen=True)
class Listed:
    """Which rows of a branch to list."""

    branch_id: str
    side: Side | None = None
    manager_id: str | None = None
    unassigned: bool = False


@dataclass(frozen=True)
class Opened:
    """Which rows of a branch a viewer sees: all, those of some managers, the primary ones of some private managers."""

    all_rows: bool = False
    manager_ids: frozenset[str] = frozenset()
    private_manager_ids: frozenset[str] = frozenset()

    @property
    def anything(self) -> bool:
        return self.all_rows or bool(self.manager_ids or self.private_manager_ids)


async def of_customers(conn: AsyncConnection, customer_ids: Sequence[str]) -> list[Ownership]:
    """The ownership of customers, by id; who has none is left out."""
    return list(_whole(await conn.execute(_OF_CUSTOMERS, {"customer_ids": list(customer_ids)})))


async def of_branch(conn: AsyncConnection, listed: Listed, opened: Opened, after: str, limit: int) -> list[str]:
    """The customers of a branch by id, from `after` on, whose row the viewer sees."""
    rows = await conn.execute(
        _OF_BRANCH,
        {
            "branch_id": listed.branch_id,
            "side": listed.side or "",
            "manager_id": listed.manager_id or "",
            "unassigned": listed.unassigned,
            "opens_all": opened.all_rows,
            "manager_ids": sorted(opened.manager_ids),
            "private_manager_ids": sorted(opened.private_manager_ids),
            "after": after,
            "limit": limit,
        },
    )
    return list(rows.scalars())


async def periods(
    conn: AsyncConnection, customer_id: str, branch_ids: Sequence[str] | None, start: Place, limit: int
) -> list[Period]:
    """A customer's rows, past and present, the youngest first; only those of some branches if they are given."""
    rows = await conn.execute(
        _PERIODS,
        {
            "customer_id": customer_id,
            "branch_ids": None if branch_ids is None else list(branch_ids),
            **vars(start),
            "limit": limit,
        },
    )
    return [Period(_owner(row), row.until_date, row.actor, row.create_time, row.period_id) for row in rows]


def _whole(rows: Iterable[Row[Any]]) -> Iterable[Ownership]:
    for _, group in groupby(rows, key=lambda row: row.customer_id):
        of_one = list(group)
        root = of_one[0]
        yield Ownership(
            customer_id=root.customer_id,
            rev=root.rev,
            gone=root.gone,
            state=State(root.state),
            business_date=root.business_date,
            update_time=root.update_time,
            owners=tuple(_owner(row) for row in of_one if row.branch_id is not None),
            private_manager_id=root.private_manager_id,
        )


def _owner(row: Row[Any]) -> Owner:
    return Owner(
        branch_id=row.branch_id,
        side=Side(row.side),
        rule=Rule(row.rule),
        manager_id=row.manager_id,
        named_manager_id=row.named_manager_id,
        evidence=Evidence(row.basis, row.amount_minor, row.rival_branch_id, row.rival_amount_minor, row.held_by_margin),
        since_date=row.since_date,
        from_date=row.from_date,
        due_date=row.due_date,
    )
