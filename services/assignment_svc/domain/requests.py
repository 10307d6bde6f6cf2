"""Requests to change who owns a customer, and how they go on (domain.md 3).

Readings of what the domain leaves open:

- A pull must not tell whether the customer exists before the giver's side says yes. So one that nobody can answer (no
  such customer, or one who is locked, protected, frozen or asked for already), and one that the giver refused, is
  SILENT: it binds nobody any more, and whoever made it sees it pending until the instant at which it would have expired
  unanswered, then expired. He may withdraw it before, and his own side may answer it, exactly as if it were pending.
- "Refused" by a time-out is a state of its own, EXPIRED: nobody said no.
- A reclaim needs nobody's yes but the head's own: it is a request that is approved as it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from types import MappingProxyType

from services.assignment_svc.domain.working_days import Calendar, add_working_days


class Kind(StrEnum):
    """What is wished."""

    PUSH = "PUSH"
    PULL = "PULL"
    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    OFFICER = "OFFICER"
    RECLAIM = "RECLAIM"


class State(StrEnum):
    """How far a request is."""

    PENDING = "PENDING"
    SILENT = "SILENT"
    """A pull that will not come to anything, which whoever made it is not told yet."""
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class Event(StrEnum):
    """What happens to a request."""

    CREATE = "CREATE"
    APPROVE = "APPROVE"
    """One side said yes, another has yet to answer."""
    CARRY_OUT = "CARRY_OUT"
    """The last side said yes."""
    REFUSE = "REFUSE"
    HUSH = "HUSH"
    """The giver of a pull said no, or it can be carried out no more."""
    WITHDRAW = "WITHDRAW"
    ESCALATE = "ESCALATE"
    TIME_OUT = "TIME_OUT"
    LAPSE = "LAPSE"
    """It can be carried out no more."""


OPEN = frozenset({State.PENDING, State.SILENT})
TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.PENDING, Event.APPROVE): State.PENDING,
        (State.PENDING, Event.CARRY_OUT): State.APPROVED,
        (State.PENDING, Event.REFUSE): State.REFUSED,
        (State.PENDING, Event.HUSH): State.SILENT,
        (State.PENDING, Event.WITHDRAW): State.WITHDRAWN,
        (State.PENDING, Event.ESCALATE): State.PENDING,
        (State.PENDING, Event.TIME_OUT): State.EXPIRED,
        (State.PENDING, Event.LAPSE): State.REFUSED,
        # The taker's own side goes on as if nothing had been.
        (State.SILENT, Event.APPROVE): State.SILENT,
        (State.SILENT, Event.REFUSE): State.REFUSED,
        (State.SILENT, Event.WITHDRAW): State.WITHDRAWN,
        (State.SILENT, Event.ESCALATE): State.SILENT,
        (State.SILENT, Event.TIME_OUT): State.EXPIRED,
    }
)
"""All that can happen; every other pair is refused. What is decided stays."""


def after(state: State, event: Event) -> State | None:
    """The state that an event leads to; None if it cannot happen there."""
    return TRANSITIONS.get((state, event))


@dataclass(frozen=True)
class Timing:
    """When the next level is asked, and when nobody is any more: each the first instant of a day of bank time."""

    escalate_time: datetime
    expire_time: datetime


@dataclass(frozen=True)
class Patience:
    """How many working days an answer may take before the next level is asked, and how many more before it is a no."""

    first_days: int
    further_days: int


def timing_of(created: date, patience: Patience, calendar: Calendar, zone: tzinfo) -> Timing:
    """The times of a request made on a day: an answer on the last working day itself is in time."""
    first = add_working_days(created, patience.first_days, calendar)
    last = add_working_days(first, patience.further_days, calendar)
    return Timing(_end_of(first, zone), _end_of(last, zone))


def _end_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), zone)
