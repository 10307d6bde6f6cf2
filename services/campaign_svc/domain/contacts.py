"""Contacts with customers as the ledger keeps them (domain.md 8)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Clocks of those who record differ a little from the bank's.
AHEAD_MAX = timedelta(minutes=5)


class Channel(StrEnum):
    """The way a contact goes."""

    SMS = "SMS"
    CALL = "CALL"
    PUSH = "PUSH"
    MAIL = "MAIL"
    WECHAT = "WECHAT"
    VISIT = "VISIT"


class MessageClass(StrEnum):
    """The regulatory class of what was said."""

    REGULATORY = "REGULATORY"
    SERVICE = "SERVICE"
    COLLECTION = "COLLECTION"
    RELATIONSHIP = "RELATIONSHIP"
    MARKETING = "MARKETING"


class State(StrEnum):
    """Where a contact stands."""

    ACCEPTED = "ACCEPTED"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Made:
    """A contact that somebody says was made."""

    customer_id: str
    channel: Channel
    message_class: MessageClass
    contact_time: datetime
    product_id: str | None
    campaign_id: str | None
    outcome: str | None


@dataclass(frozen=True)
class Contact:
    """A row of the ledger; `actor` is who recorded it: a staff id, or the issuer of a service."""

    contact_id: str
    made: Made
    state: State
    actor: str
    create_time: datetime


def lies_ahead(made: Made, now: datetime) -> bool:
    """Whether the contact claims a time that has not come yet, beyond what clocks differ."""
    return made.contact_time > now + AHEAD_MAX
