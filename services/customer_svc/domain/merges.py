"""Merges of two customers who are one: where one stands, who may do what, and when (domain.md 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

UNDO_DAYS = 30


class State(StrEnum):
    """Where a merge stands."""

    PROPOSED = "PROPOSED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"


class Verb(StrEnum):
    """What somebody does about a merge."""

    PROPOSE = "PROPOSE"
    APPROVE = "APPROVE"
    REJECT = "REJECT"
    CANCEL = "CANCEL"
    FINISH = "FINISH"
    UNDO = "UNDO"
    FINISH_UNDO = "FINISH_UNDO"


class Part(StrEnum):
    """Whose part of the work."""

    CUSTOMER = "CUSTOMER"
    OWNERSHIP = "OWNERSHIP"
    CONTACTS = "CONTACTS"


# What a verb makes of a state once all who are asked have said it; until then the state stays.
TRANSITIONS: Mapping[tuple[State, Verb], State] = MappingProxyType(
    {
        (State.PROPOSED, Verb.APPROVE): State.RUNNING,
        (State.PROPOSED, Verb.REJECT): State.REJECTED,
        (State.PROPOSED, Verb.CANCEL): State.CANCELLED,
        (State.RUNNING, Verb.FINISH): State.DONE,
        (State.DONE, Verb.UNDO): State.UNDOING,
        (State.UNDOING, Verb.FINISH_UNDO): State.UNDONE,
    }
)
# A customer stands in one of these at a time.
OPEN_STATES = (State.PROPOSED, State.RUNNING, State.UNDOING)
# In the order in which he is never without a primary branch: gone before his rows go, back after they are back.
MERGE_ORDER = (Part.CUSTOMER, Part.OWNERSHIP, Part.CONTACTS)
UNDO_ORDER = (Part.CONTACTS, Part.OWNERSHIP, Part.CUSTOMER)


@dataclass(frozen=True)
class Event:
    """One thing that was done; no actor means the system."""

    verb: Verb
    actor_id: str
    branch_id: str
    reason: str
    event_time: datetime


@dataclass(frozen=True)
class Step:
    """A part that is done."""

    part: Part
    done_time: datetime


@dataclass(frozen=True)
class Merge:
    """A merge with its history. `primary_branch_ids` are those of the two customers now."""

    merge_id: str
    survivor_id: str
    merged_id: str
    reason: str
    state: State
    proposer_id: str
    proposer_branch_id: str
    proposer_leads: bool
    version: int
    create_time: datetime
    update_time: datetime
    done_time: datetime | None
    primary_branch_ids: frozenset[str]
    events: Sequence[Event] = ()
    steps: Sequence[Step] = ()

    @property
    def undo_until_time(self) -> datetime | None:
        """The first instant at which it can be undone no more."""
        return self.done_time + timedelta(days=UNDO_DAYS) if self.done_time else None

    @property
    def asked(self) -> frozenset[str]:
        """The branches whose heads are asked: both primary ones; for the undo those that approved."""
        if self.state is State.PROPOSED:
            return self.primary_branch_ids
        return self.said(Verb.APPROVE) if self.state is State.DONE else frozenset()

    @property
    def waiting(self) -> frozenset[str]:
        """The branches that are asked and have not answered; nobody is asked for an undo before somebody wants it."""
        if self.state is State.DONE:
            wanting = self.said(Verb.UNDO)
            return self.asked - wanting if wanting else frozenset()
        return self.asked - self.said(Verb.APPROVE)

    def said(self, verb: Verb) -> frozenset[str]:
        """The branches for which somebody did this."""
        return frozenset(event.branch_id for event in self.events if event.verb is verb)


@dataclass(frozen=True)
class Person:
    """Who decides: a staff member, the branches below his if he leads it, and whether nothing is above it."""

    staff_id: str
    branch_id: str
    leads: bool
    subtree: frozenset[str]
    at_top: bool


@dataclass(frozen=True)
class Draft:
    """A merge that somebody proposes."""

    survivor_id: str
    merged_id: str
    reason: str


@dataclass(frozen=True)
class Counts:
    """What the merged customer has here."""

    account_count: int
    loan_count: int
    card_count: int
    holding_count: int
    relation_count: int
    tag_count: int
    note_count: int
    group_count: int


@dataclass(frozen=True)
class MergeOwner:
    """One branch's ownership before or after."""

    branch_id: str
    primary: bool
    manager_id: str | None


@dataclass(frozen=True)
class Duplicate:
    """Two customers who may be one, and what they have in common."""

    duplicate_id: str
    customers: tuple["DuplicateCustomer", "DuplicateCustomer"]
    matches: Sequence[str]
    score: int
    state: str
    dismiss_reason: str
    update_time: datetime


@dataclass(frozen=True)
class DuplicateCustomer:
    """One of them, as the primary side knows him."""

    customer_id: str
    display_name: str | None
    birth_date: date | None
    customer_since_date: date | None
    primary_branch_id: str | None


def answers_for(merge: Merge, person: Person) -> frozenset[str]:
    """The branches for which a person answers: his own, if he leads it.

    For the branch of a head who proposed it himself answers whoever leads a branch above; where no branch is asked,
    since neither customer has one, whoever leads head office.
    """
    if not person.leads:
        return frozenset()
    asked = merge.asked
    if not asked:
        return frozenset({person.branch_id}) if person.at_top and merge.state is State.PROPOSED else frozenset()
    own = asked & {person.branch_id}
    if merge.proposer_leads and merge.proposer_branch_id in asked & person.subtree - {person.branch_id}:
        own |= {merge.proposer_branch_id}
    return own


def is_involved(merge: Merge, person: Person) -> bool:
    """Whether a person must not decide: the proposer, and whoever is one of the two customers."""
    return person.staff_id in {merge.proposer_id, merge.survivor_id, merge.merged_id}


def is_complete(merge: Merge, verb: Verb, branch_ids: frozenset[str]) -> bool:
    """Whether all who are asked have said it, once these have."""
    return merge.asked <= merge.said(verb) | branch_ids


def sees(merge: Merge, person: Person) -> bool:
    """Who knows of a merge: its proposer, who did something about it, who is or was asked, and head office."""
    acted = any(event.actor_id == person.staff_id for event in merge.events)
    was_asked = person.leads and person.branch_id in merge.primary_branch_ids | merge.said(Verb.APPROVE)
    return acted or was_asked or bool(answers_for(merge, person)) or (person.leads and person.at_top)
