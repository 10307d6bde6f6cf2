"""What campaign_svc tells of customers' room for contacts, and the policies that limit it (domain.md 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from policy.contact_room import (
    BANK_ZONE,
    NUMBER_CHANNELS,
    Blocks,
    Cap,
    Counted,
    Instant,
    Room,
    Wanted,
    keys_of,
    room_left,
)

__all__ = [
    "BANK_ZONE",
    "NUMBER_CHANNELS",
    "Blocks",
    "Cap",
    "ContactPolicy",
    "ContactRoom",
    "Counted",
    "Instant",
    "Room",
    "Standing",
    "Wanted",
    "keys_of",
    "room_for",
    "standing",
]

CHANNELS = ("SMS", "CALL", "PUSH", "MAIL", "WECHAT")


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
    do_not_contact_until_time: datetime | None = None
    opt_out_keys: Sequence[str] = ()
    consent_keys: Sequence[str] = ()
    withdrawn_consent_keys: Sequence[str] = ()
    policy_version: int = 0


@dataclass(frozen=True)
class ContactPolicy:
    """The caps in force from an instant on; of one that is gone only the version counts."""

    version: int
    start_time: datetime | None
    consent_required: bool = False
    caps: Sequence[Cap] = ()
    gone: bool = False


@dataclass(frozen=True)
class Standing:
    """Whether and how often a customer may be contacted: the room on each channel, with what is known of him."""

    room: ContactRoom
    rooms: Sequence[tuple[str, Room]] = ()


def standing(room: ContactRoom, policy: ContactPolicy | None, at: datetime) -> Standing:
    """The room for a marketing contact of a new campaign on each channel; none is told while no policy is known."""
    if policy is None:
        return Standing(room)
    return Standing(room, [(channel, room_for(Wanted(channel), at, room, policy)) for channel in CHANNELS])


def room_for(wanted: Wanted, at: datetime, room: ContactRoom, policy: ContactPolicy) -> Room:
    """How much room is left for a contact at an instant, under the policy in force then."""
    consents = dict.fromkeys(room.consent_keys, True) | dict.fromkeys(room.withdrawn_consent_keys, False)
    blocks = Blocks(
        room.do_not_contact_until_time, frozenset(room.opt_out_keys), consents, consent_required=policy.consent_required
    )
    return room_left(wanted, at, room.instants, policy.caps, blocks)
