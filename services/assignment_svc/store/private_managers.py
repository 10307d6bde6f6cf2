"""Private managers of key customers: who they are, who they were, and how many customers one has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

# Behind every period: they are numbered upwards, and the one that lasts has this number.
LASTING_ID = 2**63 - 1

_LOCK_OWNERSHIP = text("SELECT FROM ownership WHERE customer_id = :customer_id AND NOT gone FOR UPDATE")
_LOCK_STAFF = text("SELECT FROM staff WHERE staff_id = :staff_id AND NOT gone FOR NO KEY UPDATE")
_COUNT = text("SELECT count(*) FROM private_manager WHERE staff_id = :staff_id")
_LIMIT = text("SELECT customers_max FROM private_manager_policy ORDER BY version DESC LIMIT 1")
_END = text("""
WITH ended AS (DELETE FROM private_manager WHERE customer_id = :customer_id RETURNING *)
INSERT INTO private_manager_period (customer_id, staff_id, reason, actor, create_time, end_time, end_actor, end_reason)
SELECT customer_id, staff_id, reason, actor, create_time, greatest(bank_now(), create_time), :actor, :reason FROM ended
""")
_NAME = text(
    "INSERT INTO private_manager (customer_id, staff_id, reason, actor)"
    " VALUES (:customer_id, :staff_id, :reason, :actor)"
)
_MOVE = text(
    "UPDATE ownership SET rev = pg_current_xact_id(), update_time = bank_now() WHERE customer_id = :customer_id"
)
_PERIODS = text(f"""
SELECT * FROM (
  SELECT customer_id, {LASTING_ID} AS period_id, staff_id, reason, actor, create_time, NULL::timestamptz AS end_time,
    '' AS end_actor, '' AS end_reason
  FROM private_manager WHERE customer_id = :customer_id
  UNION ALL
  SELECT customer_id, period_id, staff_id, reason, actor, create_time, end_time, end_actor, end_reason
  FROM private_manager_period WHERE customer_id = :customer_id
) AS periods
WHERE period_id < :before OR :from_start ORDER BY period_id DESC LIMIT :limit
""").bindparams(bindparam("before", type_=BigInteger), bindparam("limit", type_=Integer))  # noqa: S608 -- a number


@dataclass(frozen=True)
class PrivateManagerPeriod:
    """A private manager of a customer; without an end he is so now."""

    period_id: int
    staff_id: str
    reason: str
    actor: str
    create_time: datetime
    end_time: datetime | None
    end_actor: str
    end_reason: str


async def lock_ownership(tx: AsyncConnection, customer_id: str) -> None:
    """Lets nobody else change a customer's ownership until `tx` ends."""
    await tx.execute(_LOCK_OWNERSHIP, {"customer_id": customer_id})


async def lock_staff(tx: AsyncConnection, staff_id: str) -> None:
    """Lets nobody else give this staff member a customer until `tx` ends: what is counted then stays true.

    To be locked after the customer's ownership, in this order everywhere.
    """
    await tx.execute(_LOCK_STAFF, {"staff_id": staff_id})


async def customer_count(tx: AsyncConnection, staff_id: str) -> int:
    """How many customers a private manager has."""
    return (await tx.execute(_COUNT, {"staff_id": staff_id})).scalar_one()


async def customers_max(tx: AsyncConnection) -> int:
    """How many he may have."""
    return (await tx.execute(_LIMIT)).scalar_one()


async def replace(tx: AsyncConnection, customer_id: str, staff_id: str | None, actor: str, reason: str) -> None:
    """Ends who is there and names another, or nobody (None); the customer, who must be locked, moves in the feed."""
    values = {"customer_id": customer_id, "actor": actor, "reason": reason}
    await tx.execute(_END, values)
    if staff_id is not None:
        await tx.execute(_NAME, {**values, "staff_id": staff_id})
    await tx.execute(_MOVE, {"customer_id": customer_id})


async def periods(
    conn: AsyncConnection, customer_id: str, before: int | None, limit: int
) -> Sequence[PrivateManagerPeriod]:
    """A customer's private managers, the youngest first, from before a period on; None from the start."""
    values = {"customer_id": customer_id, "before": before or 0, "from_start": before is None, "limit": limit}
    return [
        PrivateManagerPeriod(
            row.period_id,
            row.staff_id,
            row.reason,
            row.actor,
            row.create_time,
            row.end_time,
            row.end_actor,
            row.end_reason,
        )
        for row in await conn.execute(_PERIODS, values)
    ]
