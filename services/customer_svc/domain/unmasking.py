"""Contact data in clear for who sees it masked: for a purpose, and so often a day (domain.md 3 and 13)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.customer_svc.domain.contact_data import ContactData
from services.customer_svc.domain.viewing import Level

Purpose = Literal["CALLBACK", "DELIVERY", "COMPLAINT", "VERIFICATION", "OTHER"]

REASON_LENGTH_MAX = 500
# "Something else" must be said.
REASON_LENGTH_MIN = 10
SHOWN_FOR = timedelta(seconds=60)


@dataclass(frozen=True)
class Unmasking:
    """What somebody wants to see, and what for."""

    customer_id: str
    purpose: Purpose
    reason: str | None
    request_id: str


@dataclass(frozen=True)
class Unmasked:
    """Contact data in clear; `remaining` is None for who is not counted."""

    contact_data: ContactData
    remaining: int | None
    expire_time: datetime


def is_counted(level: Level) -> bool:
    """Only who sees contact data masked is counted: the primary side sees it anyway."""
    return level < Level.PRIMARY


def reason_fault(unmasking: Unmasking) -> str | None:
    """What is wrong with the reason that is given."""
    length = len((unmasking.reason or "").strip())
    if length > REASON_LENGTH_MAX:
        return f"has more than {REASON_LENGTH_MAX} characters"
    if unmasking.purpose == "OTHER" and length < REASON_LENGTH_MIN:
        return f"must say what for in at least {REASON_LENGTH_MIN} characters"
    return None
