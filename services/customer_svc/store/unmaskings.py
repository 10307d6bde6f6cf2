"""How often somebody looked at contact data in clear."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Interval, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.unmasking import SHOWN_FOR, Unmasking

# One after the other for each member of staff, or two could both be the last.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('unmask/' || :staff_id, 0))")
_STANDING = text("""
SELECT bank_now() AS now,
  (SELECT unmask_day_max FROM privacy_policies WHERE start_time <= bank_now() ORDER BY version DESC LIMIT 1) AS most,
  (SELECT count(*) FROM unmaskings WHERE staff_id = :staff_id AND counted
    AND bank_date = (bank_now() AT TIME ZONE 'Asia/Shanghai')::date) AS used,
  before.request_id IS NOT NULL AS known,
  before.purpose = :purpose AND before.reason IS NOT DISTINCT FROM :reason
    AND before.create_time > bank_now() - :shown_for AS lasting
FROM (SELECT) AS here LEFT JOIN unmaskings AS before ON before.customer_id = :customer_id
  AND before.staff_id = :staff_id AND before.request_id = :request_id
""").bindparams(bindparam("reason", type_=Text), bindparam("shown_for", type_=Interval))
_ADD = text("""
INSERT INTO unmaskings (customer_id, staff_id, request_id, bank_date, counted, purpose, reason)
VALUES (:customer_id, :staff_id, :request_id, (bank_now() AT TIME ZONE 'Asia/Shanghai')::date, :counted, :purpose,
  :reason)
""")


@dataclass(frozen=True)
class Standing:
    """How often somebody may and did look today, by bank time, and whether this request is one of them already.

    It is `lasting` if it asked for the same, and what it showed may still be looked at.
    """

    now: datetime
    most: int
    used: int
    known: bool
    lasting: bool | None


async def lock_standing(tx: AsyncConnection, staff_id: str, unmasking: Unmasking) -> Standing:
    """How somebody stands; nobody else can look in his name until the transaction ends."""
    await tx.execute(_LOCK, {"staff_id": staff_id})
    given = {
        "staff_id": staff_id,
        "customer_id": unmasking.customer_id,
        "request_id": unmasking.request_id,
        "purpose": unmasking.purpose,
        "reason": unmasking.reason,
        "shown_for": SHOWN_FOR,
    }
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
