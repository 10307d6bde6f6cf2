"""What a customer's room for contacts is made of, and the policies that limit it (domain.md 8)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from policy.contact_room import Cap, Instant
from services.campaign_svc.domain.viewing import Level

__all__ = ["Cap", "ContactPolicy", "ContactRoom", "Instant", "seen_room"]


@dataclass(frozen=True)
class ContactRoom:
    """One customer's; of one who is gone only the id counts. Keys are `channel/category`, each may be ALL."""

    customer_id: str
    gone: bool = False
    instants: Sequence[Instant] = ()
    last_contact_time: datetime | None = None
    last_campaign_id: str | None = None
    last_outcome: str | None = None
    last_refusal_time: datetime | None = None
    opt_out_keys: Sequence[str] = ()
    consent_keys: Sequence[str] = ()
    withdrawn_consent_keys: Sequence[str] = ()


@dataclass(frozen=True)
class ContactPolicy:
    """The caps in force from an instant on."""

    version: int
    start_time: datetime
    consent_required: bool
    caps: Sequence[Cap]


def seen_room(room: ContactRoom, level: Level) -> ContactRoom:
    """Leaves a secondary side that, how and when there were contacts, not about what (domain.md 3)."""
    if level >= Level.PRIMARY:
        return room
    instants = tuple(replace(instant, category=None, campaign_id=None) for instant in room.instants)
    return replace(room, instants=instants, last_campaign_id=None, last_outcome=None, last_refusal_time=None)
