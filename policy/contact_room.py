"""How much room the caps leave for a further contact with a customer (domain.md 8, "Windows" and "Caps").

campaign_svc publishes what counts: the instants of a customer's contacts, planned ones too, what blocks contacts, and
the policy in force. Room is computed from them when somebody asks, since a stored count would go stale by itself.
Readings that the text leaves open:

- Room is told for one instant: how many more contacts could be made then, all at once, so that every window holds.
- A cap of campaigns does not say how many contacts; it takes all the room of a new campaign when it is used up.
- Who withdrew his consent is blocked; who never gave it only under a policy that requires it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

BANK_ZONE = ZoneInfo("Asia/Shanghai")
ALL = "ALL"

Per = Literal["PERSON", "NUMBER"]
Counted = Literal["CONTACTS", "CONTACTS_OF_CAMPAIGN", "CAMPAIGN_ENTRIES", "CAMPAIGNS_AT_ONCE"]

# Contacts that go to the phone number, so that those with other people on it count too.
NUMBER_CHANNELS = frozenset({"SMS", "CALL"})


@dataclass(frozen=True)
class Instant:
    """One contact that counts: made, or planned for `at`."""

    channel: str
    at: datetime
    message_class: str = "MARKETING"
    category: str | None = None
    campaign_id: str | None = None
    other_person: bool = False
    """It went to somebody else on the same phone number: counts for caps of the number only."""


@dataclass(frozen=True)
class Cap:
    """At most `limit` of what it counts in any window; None is no limit, 0 allows nothing."""

    rule_id: str
    limit: int | None
    length: timedelta | None = None
    """The length of a rolling window, half-open; None means the calendar day of bank time."""
    channels: frozenset[str] = frozenset()
    """The channels that count together; none named means all."""
    message_classes: frozenset[str] = frozenset({"MARKETING"})
    category: str | None = None
    per: Per = "PERSON"
    counted: Counted = "CONTACTS"

    def counts(self, channel: str, message_class: str, category: str | None) -> bool:
        """Says whether a contact of this kind falls under the cap."""
        return (
            (not self.channels or channel in self.channels)
            and message_class in self.message_classes
            and self.category in {None, category}
            and (self.per == "PERSON" or channel in NUMBER_CHANNELS)
        )


@dataclass(frozen=True)
class Blocks:
    """What forbids contacts whatever the counts are. Keys are `channel/category`, each of the two may be ALL."""

    do_not_contact_until: datetime | None = None
    opt_outs: frozenset[str] = frozenset()
    consents: Mapping[str, bool] | None = None
    """True was granted, False was withdrawn."""
    consent_required: bool = False


@dataclass(frozen=True)
class Wanted:
    """The contact that somebody would like to make."""

    channel: str
    message_class: str = "MARKETING"
    category: str | None = None
    campaign_id: str | None = None
    """The campaign that it would belong to; None for a new one."""


@dataclass(frozen=True)
class Room:
    """How many more contacts fit, None for no limit, and the rule that leaves least."""

    left: int | None
    rule_id: str = ""
    used: int = 0
    limit: int | None = None


def room_left(wanted: Wanted, at: datetime, instants: Sequence[Instant], caps: Iterable[Cap], blocks: Blocks) -> Room:
    """The room for contacts such as `wanted` at an instant; of rules that leave the same the first is named."""
    if blocked := blocking_rule(wanted, at, blocks):
        return Room(0, blocked)
    least = Room(None)
    for cap in caps:
        if cap.limit is None or not cap.counts(wanted.channel, wanted.message_class, wanted.category):
            continue
        room = _under(cap, cap.limit, wanted, at, instants)
        if room.left is not None and (least.left is None or room.left < least.left):
            least = room
    return least


def blocking_rule(wanted: Wanted, at: datetime, blocks: Blocks) -> str | None:
    """The rule that forbids the contact whatever the counts are, or None."""
    if blocks.do_not_contact_until is not None and at < blocks.do_not_contact_until:
        return "DO_NOT_CONTACT"
    if wanted.message_class != "MARKETING":
        return None
    keys = keys_of(wanted.channel, wanted.category)
    if any(key in blocks.opt_outs for key in keys):
        return "OPT_OUT"
    given = [consent for key in keys if (consent := (blocks.consents or {}).get(key)) is not None]
    if not all(given):
        return "CONSENT_WITHDRAWN"
    return "CONSENT_MISSING" if blocks.consent_required and not given else None


def keys_of(channel: str, category: str | None) -> tuple[str, ...]:
    """The keys of opt-outs and consents that speak of a contact on a channel about a category."""
    categories = (ALL,) if category is None else (category, ALL)
    return tuple(f"{way}/{about}" for way in (channel, ALL) for about in categories)


def most_in_a_window(times: Sequence[datetime], at: datetime, length: timedelta | None) -> int:
    """The most of the sorted `times` that share a window with `at`: half-open of a length, or its calendar day."""
    if length is None:
        day = at.astimezone(BANK_ZONE).date()
        return sum(1 for time in times if time.astimezone(BANK_ZONE).date() == day)
    near = times[bisect_right(times, at - length) : bisect_left(times, at + length)]
    # The fullest window begins at one of the times up to `at`, or at `at` itself.
    starts = [*near[: bisect_right(near, at)], at]
    return max(bisect_left(near, start + length) - bisect_left(near, start) for start in starts)


def _under(cap: Cap, limit: int, wanted: Wanted, at: datetime, instants: Sequence[Instant]) -> Room:
    counting = [
        instant
        for instant in instants
        if cap.counts(instant.channel, instant.message_class, instant.category)
        and (cap.per == "NUMBER" or not instant.other_person)
    ]
    if cap.counted == "CONTACTS":
        used = most_in_a_window(sorted(instant.at for instant in counting), at, cap.length)
        return Room(max(limit - used, 0), cap.rule_id, used, limit)
    if cap.counted == "CONTACTS_OF_CAMPAIGN":
        used = sum(1 for instant in counting if wanted.campaign_id and instant.campaign_id == wanted.campaign_id)
        return Room(max(limit - used, 0), cap.rule_id, used, limit)
    spans = _campaign_spans(counting)
    if wanted.campaign_id in spans:
        return Room(None)
    if cap.counted == "CAMPAIGNS_AT_ONCE":
        used = sum(1 for first, last in spans.values() if first <= at <= last)
    else:
        used = most_in_a_window(sorted(first for first, _ in spans.values()), at, cap.length)
    return Room(0, cap.rule_id, used, limit) if used >= limit else Room(None)


def _campaign_spans(instants: Iterable[Instant]) -> dict[str, tuple[datetime, datetime]]:
    """From the first to the last contact of each campaign."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for instant in instants:
        if instant.campaign_id is not None:
            first, last = spans.get(instant.campaign_id, (instant.at, instant.at))
            spans[instant.campaign_id] = (min(first, instant.at), max(last, instant.at))
    return spans


def default_caps() -> tuple[Cap, ...]:
    """The caps of domain.md 8, as version 1 of the policy stores them."""
    return (*_contact_caps("PERSON"), *_contact_caps("NUMBER"), *_OVER_ALL, *_CAMPAIGNS, *_RELATIONSHIP)


def _contact_caps(per: Per) -> Iterable[Cap]:
    """Per person and per phone number alike; a push message goes to no number."""
    limits: dict[str, dict[int | None, int]] = {
        "SMS": {None: 1, 7: 2, 30: 4, 91: 7, 365: 24},
        "CALL": {7: 1, 30: 2},
        "PUSH": {None: 1, 30: 8},
    }
    for channel, windows in limits.items():
        if per == "NUMBER" and channel not in NUMBER_CHANNELS:
            continue
        for days, limit in windows.items():
            rule_id = f"{per}_{channel}_{'DAY' if days is None else f'{days}D'}"
            length = None if days is None else timedelta(days=days)
            yield Cap(rule_id, limit, length, frozenset({channel}), per=per)


_COUNTED_CHANNELS = frozenset({"SMS", "CALL", "PUSH", "MAIL", "WECHAT"})
_OVER_ALL = (
    Cap("PERSON_ALL_7D", 3, timedelta(days=7), _COUNTED_CHANNELS),
    Cap("PERSON_ALL_30D", 8, timedelta(days=30), _COUNTED_CHANNELS),
)
_CAMPAIGNS = (
    Cap("CONTACTS_OF_CAMPAIGN", 3, channels=_COUNTED_CHANNELS, counted="CONTACTS_OF_CAMPAIGN"),
    Cap("CAMPAIGNS_AT_ONCE", 3, channels=_COUNTED_CHANNELS, counted="CAMPAIGNS_AT_ONCE"),
    Cap("CAMPAIGNS_365D", 20, timedelta(days=365), _COUNTED_CHANNELS, counted="CAMPAIGN_ENTRIES"),
)
_RELATIONSHIP = tuple(
    Cap(f"RELATIONSHIP_{days}D", limit, timedelta(days=days), _COUNTED_CHANNELS, frozenset({"RELATIONSHIP"}))
    for days, limit in ((30, 1), (365, 6))
)
