"""Contacts with customers as the ledger keeps them (domain.md 8)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.campaign_svc.domain.viewing import Level

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
    """A row of the ledger; `actor` is who recorded it: a staff id, or the issuer of a service.

    `branch_id` is the branch at which it was recorded; empty for what came from a service or by import.
    """

    contact_id: str
    made: Made
    state: State
    actor: str
    branch_id: str
    create_time: datetime


def lies_ahead(made: Made, now: datetime) -> bool:
    """Whether the contact claims a time that has not come yet, beyond what clocks differ."""
    return made.contact_time > now + AHEAD_MAX


def shown_to(contact: Contact, level: Level, own_branch_id: str | None) -> Contact:
    """The contact as far as a viewer may see it (domain.md 3): to a secondary side, other branches' business is none.

    That there was a contact, how and when, is told to every side: it counts towards everybody's caps.
    """
    if level >= Level.PRIMARY or contact.branch_id == own_branch_id:
        return contact
    made = replace(contact.made, product_id=None, campaign_id=None, outcome=None)
    return replace(contact, made=made, actor="", branch_id="")
