"""A customer's life with the bank: events of many sources in one order, the youngest first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import IntEnum

from services.customer_svc.domain.contact_room import BANK_ZONE


class Kind(IntEnum):
    """What happened; the numbers are those of the contract, and order what happened at the same instant."""

    ACCOUNT_OPENED = 1
    ACCOUNT_CLOSED = 2
    LOAN_DISBURSED = 3
    LOAN_CLOSED = 4
    LOAN_GRADED = 5
    CARD_OPENED = 6
    CARD_CLOSED = 7
    HOLDING_OPENED = 8
    HOLDING_CLOSED = 9
    OWNER_STARTED = 10
    OWNER_ENDED = 11
    KEY_MARK_CHANGED = 12
    TAG_CHANGED = 13
    CONTACT = 14
    ALERT = 15
    NOTE = 16
    RELATION_STARTED = 17
    RELATION_ENDED = 18
    MERGE = 19


OF_OTHERS = frozenset({Kind.OWNER_STARTED, Kind.OWNER_ENDED, Kind.CONTACT, Kind.ALERT})
"""What other services tell."""

# An instant, the kind, and what tells events of one kind and instant apart.
Place = tuple[datetime, int, str]


@dataclass(frozen=True)
class Entry:
    """One event; `at` orders it, and `event_time` is unset if only the day is known. `key` names nobody's number."""

    kind: Kind
    key: str
    at: datetime
    event_date: date
    event_time: datetime | None = None
    branch_id: str | None = None
    subject: str = ""
    detail: str = ""
    amount_minor: int | None = None
    text: str = ""
    actor: str = ""

    @property
    def place(self) -> Place:
        """Where it stands."""
        return (self.at, self.kind, self.key)


@dataclass(frozen=True)
class Wanted:
    """Which events: of some kinds, from one instant on and before another, after a place; how many at most."""

    kinds: frozenset[Kind]
    limit: int
    since: datetime | None = None
    until: datetime | None = None
    after: Place | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether an event is one of them."""
        return (
            entry.kind in self.kinds
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and (self.after is None or entry.place < self.after)
        )


def merged(wanted: Wanted, *sources: Iterable[Entry]) -> Sequence[Entry]:
    """The youngest of what is wanted of all sources, one more than the limit if there are more."""
    taken = [entry for source in sources for entry in source if wanted.takes(entry)]
    return sorted(taken, key=lambda entry: entry.place, reverse=True)[: wanted.limit + 1]


def beginning_of(day: date) -> datetime:
    """The first instant of a day of bank time."""
    return datetime.combine(day, time(), BANK_ZONE)


def bank_date(at: datetime) -> date:
    """The day of bank time in which an instant lies."""
    return at.astimezone(BANK_ZONE).date()
