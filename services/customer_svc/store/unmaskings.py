"""How often somebody looked at contact data in clear."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.unmasking import Unmasking

# One after the other for each member of staff, or two could both be the last.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('unmask/' || :staff_id, 0))")
_STANDING = text("""
SELECT bank_now() AS now,
  (SELECT unmask_day_max FROM privacy_policies WHERE start_time <= bank_now() ORDER BY version DESC LIMIT 1) AS most,
  (SELECT count(*) FROM unmaskings WHERE staff_id = :staff_id AND counted
    AND bank_date = (bank_now() AT TIME ZONE 'Asia/Shanghai')::date) AS used,
  EXISTS (SELECT FROM unmaskings WHERE customer_id = :customer_id AND staff_id = :staff_id
    AND request_id = :request_id) AS known
""")
_ADD = text("""
INSERT INTO unmaskings (customer_id, staff_id, request_id, bank_date, counted, purpose, reason)
VALUES (:customer_id, :staff_id, :request_id, (bank_now() AT TIME ZONE 'Asia/Shanghai')::date, :counted, :purpose,
  :reason)
""")


@dataclass(frozen=True)
class Standing:
    """How often somebody may and did look today, by bank time, and whether this request is one of them already."""

    now: datetime
    most: int
    used: int
    known: bool


async def lock_standing(tx: AsyncConnection, staff_id: str, unmasking: Unmasking) -> Standing:
    """How somebody stands; nobody else can look in his name until the transaction ends."""
    await tx.execute(_LOCK, {"staff_id": staff_id})
    given = {"staff_id": staff_id, "customer_id": unmasking.customer_id, "request_id": unmasking.request_id}
    return Standing(*(await tx.execute(_STANDING, given)).one())


async def add(tx: AsyncConnection, staff_id: str, unmasking: Unmasking, *, counted: bool) -> None:
    """Stores that somebody looks."""
    values = {
        "customer_id": unmasking.customer_id,
        "staff_id": staff_id,
        "request_id": unmasking.request_id,
        "counted": counted,
        "purpose": unmasking.purpose,
        "reason": unmasking.reason,
    }
    await tx.execute(_ADD, values)
