"""Who may be claimed, who was first, and how many customers a manager has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Date, Integer, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.changes import ClaimPolicy
from services.assignment_svc.domain.ownership import Side

_CAPACITY = text("SELECT customers_max FROM capacity_policy ORDER BY version DESC LIMIT 1")
_POLICY = text(
    "SELECT protection_days, undo_hours, claimed_hours, deposit_edges_minor FROM claim_policy"
    " ORDER BY version DESC LIMIT 1"
)
# Former customers are nobody's work.
_FULL_AT = text("""
WITH policy AS (SELECT customers_max FROM capacity_policy ORDER BY version DESC LIMIT 1)
SELECT customers_max FROM policy WHERE customers_max <= (
  SELECT count(*) FROM (
    SELECT FROM owner o JOIN ownership a USING (customer_id)
    WHERE o.manager_id = :staff_id AND a.state <> 'FORMER' LIMIT (SELECT customers_max FROM policy)
  ) AS counted
)
""")
_LAST_CLAIM = text("""
SELECT to_manager_id, create_time FROM ownership_change
WHERE customer_id = :customer_id AND branch_id = :branch_id AND kind = 'CLAIM' AND to_manager_id = :manager_id
  AND undone_by IS NULL AND create_time > bank_now() - make_interval(hours => :hours)
ORDER BY create_time DESC LIMIT 1
""").bindparams(bindparam("hours", type_=Integer))
_SOURCES = text("""
SELECT loan_live, loan_id, loan_officer_id, card_live, card_manager_id FROM branch_facts
WHERE customer_id = :customer_id AND branch_id = :branch_id
""")
# Not whose card's manager goes before whoever claims, nor whose row is held or protected.
_CLAIMABLE = text("""
SELECT o.customer_id, o.side, f.loan_live, f.card_live, greatest(f.deposit_sum_minor, 0) / 30 AS average_minor
FROM owner o JOIN ownership a USING (customer_id) JOIN branch_facts f USING (customer_id, branch_id)
WHERE o.branch_id = :branch_id AND o.manager_id IS NULL AND a.state = 'LIVE'
  AND o.customer_id <> ALL (CAST(:without AS text[]))
  AND (f.loan_live AND f.loan_officer_id IS NOT NULL OR NOT f.card_live OR f.card_manager_id IS NULL)
  AND NOT EXISTS (SELECT FROM ownership_hold h
    WHERE h.customer_id = o.customer_id AND h.branch_id = o.branch_id AND h.from_date <= :day
      AND (h.until_date IS NULL OR h.until_date > :day)
      AND (h.kind <> 'PROTECTION' OR coalesce(h.last_contact_date, h.from_date) + :idle_days >= :day))
  AND NOT EXISTS (SELECT FROM row_protection p
    WHERE p.customer_id = o.customer_id AND p.branch_id = o.branch_id AND p.from_date <= :day AND p.until_date > :day
      AND coalesce(p.last_contact_date, p.from_date) + :idle_days >= :day)
ORDER BY f.deposit_sum_minor DESC NULLS LAST, o.customer_id LIMIT :limit
""").bindparams(bindparam("day", type_=Date), bindparam("idle_days", type_=Integer), bindparam("limit", type_=Integer))
_LOADS = text("""
SELECT * FROM (
  SELECT s.staff_id, count(*) FILTER (WHERE c.side = 'PRIMARY') AS primary_count,
    count(*) FILTER (WHERE c.side = 'SECONDARY') AS secondary_count, count(c.side) AS total
  FROM staff s LEFT JOIN (
    SELECT o.manager_id, o.side FROM owner o JOIN ownership a USING (customer_id)
    WHERE o.branch_id = :branch_id AND o.manager_id IS NOT NULL AND a.state <> 'FORMER'
  ) c ON c.manager_id = s.staff_id
  WHERE s.branch_id = :branch_id AND NOT s.gone AND s.roles && CAST(:roles AS text[])
    AND coalesce(s.active_from_date, '-infinity') <= :day AND coalesce(s.active_until_date, 'infinity') >= :day
  GROUP BY s.staff_id
) AS loads
WHERE (:from_start OR (-total, staff_id) > (:before_total, :after_id)) AND (NOT :over OR total > :most)
ORDER BY total DESC, staff_id LIMIT :limit
""").bindparams(
    bindparam("day", type_=Date),
    bindparam("before_total", type_=Integer),
    bindparam("after_id", type_=Text),
    bindparam("most", type_=Integer),
    bindparam("limit", type_=Integer),
)


@dataclass(frozen=True)
class Sources:
    """What of a branch's business goes before whom its head names: a live loan's officer, a live card's manager."""

    loan_id: str | None = None
    officer_id: str | None = None
    card_manager_id: str | None = None


@dataclass(frozen=True)
class Claimable:
    """An unassigned customer of a branch; his average stays inside, he is told by its band."""

    customer_id: str
    side: Side
    has_loan: bool
    has_card: bool
    average_minor: int | None


@dataclass(frozen=True)
class Load:
    """How many customers a manager has."""

    staff_id: str
    primary_count: int
    secondary_count: int

    @property
    def total(self) -> int:
        return self.primary_count + self.secondary_count


@dataclass(frozen=True)
class Loads:
    """Which managers to list: of a branch, active on a day, with such roles; only those above a limit if asked."""

    branch_id: str
    day: date
    roles: tuple[str, ...]
    most: int
    over: bool


async def capacity(conn: AsyncConnection) -> int:
    """How many customers manual changes may give a manager."""
    return (await conn.execute(_CAPACITY)).scalar_one()


async def claim_policy(conn: AsyncConnection) -> ClaimPolicy:
    """The newest version of the parameters of claims."""
    row = (await conn.execute(_POLICY)).one()
    return ClaimPolicy(row.protection_days, row.undo_hours, row.claimed_hours, tuple(row.deposit_edges_minor))


async def full_at(tx: AsyncConnection, staff_id: str) -> int | None:
    """The limit of a manager who has as many customers as manual changes may give; None while he has room.

    Lock him first (private_managers.lock_staff), so that it stays true.
    """
    return (await tx.execute(_FULL_AT, {"staff_id": staff_id})).scalar_one_or_none()


async def last_claim(
    conn: AsyncConnection, customer_id: str, branch_id: str, manager_id: str, hours: int
) -> datetime | None:
    """When a row's manager claimed it, if he did within so many hours."""
    values = {"customer_id": customer_id, "branch_id": branch_id, "manager_id": manager_id, "hours": hours}
    row = (await conn.execute(_LAST_CLAIM, values)).one_or_none()
    return row.create_time if row else None


async def sources_at(conn: AsyncConnection, customer_id: str, branch_id: str) -> Sources:
    """Whom a branch's business puts before whoever is named."""
    row = (await conn.execute(_SOURCES, {"customer_id": customer_id, "branch_id": branch_id})).one_or_none()
    if row is None:
        return Sources()
    return Sources(
        row.loan_id if row.loan_live else None,
        row.loan_officer_id if row.loan_live else None,
        row.card_manager_id if row.card_live else None,
    )


async def claimable_of(  # noqa: PLR0913, PLR0917 -- of which branch, without whom, on which day, how many
    conn: AsyncConnection, branch_id: str, without: Collection[str], day: date, idle_days: int, limit: int
) -> Sequence[Claimable]:
    """The unassigned customers of a branch who may be claimed, without some, the largest first."""
    values = {"branch_id": branch_id, "without": list(without), "day": day, "idle_days": idle_days, "limit": limit}
    return [
        Claimable(row.customer_id, Side(row.side), row.loan_live, row.card_live, row.average_minor)
        for row in await conn.execute(_CLAIMABLE, values)
    ]


async def loads_of(conn: AsyncConnection, loads: Loads, after: tuple[int, str] | None, limit: int) -> Sequence[Load]:
    """The managers of a branch, the fullest first, from after one's total and id on."""
    total, staff_id = after or (0, "")
    values = {"from_start": after is None, "before_total": -total, "after_id": staff_id, "limit": limit}
    rows = await conn.execute(_LOADS, {**vars(loads), "roles": list(loads.roles), **values})
    return [Load(row.staff_id, row.primary_count, row.secondary_count) for row in rows]
