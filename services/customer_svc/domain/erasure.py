"""What law lets the bank erase of a person, and when (domain.md 12); how a request to be erased goes on.

Marketing goes in any case. Contact data are needed while there is business, a complaint, a collection or a freeze.
Records go when nothing must be kept any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from chassis.personal_data import Part

__all__ = [
    "REASON_LENGTH_MAX",
    "REFERENCE_LENGTH_MAX",
    "STEPS",
    "Erasure",
    "ErasurePolicy",
    "Obstacle",
    "Part",
    "Standing",
    "State",
    "Step",
    "Verdict",
    "erased_parts",
    "verdicts",
]

REFERENCE_LENGTH_MAX = 200
REASON_LENGTH_MAX = 500
# As long as that, two customers who were made one may be made two again (domain.md 3).
_MERGE_UNDO = timedelta(days=30)


class Obstacle(StrEnum):
    """Why something must still be kept."""

    LIVE_BUSINESS = "LIVE_BUSINESS"
    LIVE_GUARANTEE = "LIVE_GUARANTEE"
    OPEN_COMPLAINT = "OPEN_COMPLAINT"
    LOAN_WRITTEN_OFF = "LOAN_WRITTEN_OFF"
    LEGAL_FREEZE = "LEGAL_FREEZE"
    RETENTION = "RETENTION"
    MERGE_OPEN = "MERGE_OPEN"


# The bank must be able to reach him.
_NEEDS_CONTACT = frozenset(Obstacle) - {Obstacle.RETENTION, Obstacle.MERGE_OPEN}


@dataclass(frozen=True)
class Standing:
    """What is known of a person that bears on his erasure, under all ids that he has had."""

    live_business: bool = False
    live_guarantee: bool = False
    open_complaint: bool = False
    loan_written_off: bool = False
    legal_freeze: bool = False
    last_close_date: date | None = None
    """When the last of what he had was closed; None if he never had anything."""
    merge_open: bool = False
    last_merge_date: date | None = None


@dataclass(frozen=True)
class ErasurePolicy:
    """The parameters of erasures, one version of them."""

    wait_days: int
    retention_years: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of one part; `possible_date` is None where no day can be told."""

    part: Part
    erased: bool
    obstacles: tuple[Obstacle, ...] = ()
    possible_date: date | None = None
    row_counts: Mapping[str, int] = field(default_factory=dict[str, int])


def verdicts(standing: Standing, policy: ErasurePolicy, day: date) -> tuple[Verdict, ...]:
    """What goes and what stays on a day, and why."""
    found = _obstacles(standing, policy, day)
    return tuple(_verdict(part, {name: until for name, until in found.items() if _holds(name, part)}) for part in Part)


def erased_parts(found: Sequence[Verdict]) -> frozenset[Part]:
    """The parts that go."""
    return frozenset(verdict.part for verdict in found if verdict.erased)


def _obstacles(standing: Standing, policy: ErasurePolicy, day: date) -> dict[Obstacle, date | None]:
    """What stands against an erasure, and until when, as far as a day can be told."""
    found: dict[Obstacle, date | None] = {
        obstacle: None
        for obstacle, holds in (
            (Obstacle.LIVE_BUSINESS, standing.live_business),
            (Obstacle.LIVE_GUARANTEE, standing.live_guarantee),
            (Obstacle.OPEN_COMPLAINT, standing.open_complaint),
            (Obstacle.LOAN_WRITTEN_OFF, standing.loan_written_off),
            (Obstacle.LEGAL_FREEZE, standing.legal_freeze),
            (Obstacle.MERGE_OPEN, standing.merge_open),
        )
        if holds
    }
    if standing.last_close_date is not None:
        until = _years_after(standing.last_close_date, policy.retention_years)
        if until > day:
            found[Obstacle.RETENTION] = until
    if standing.last_merge_date is not None and standing.last_merge_date + _MERGE_UNDO > day:
        found.setdefault(Obstacle.MERGE_OPEN, standing.last_merge_date + _MERGE_UNDO)
    return found


def _holds(obstacle: Obstacle, part: Part) -> bool:
    return part is Part.RECORDS or (part is Part.CONTACT_DATA and obstacle in _NEEDS_CONTACT)


def _verdict(part: Part, against: Mapping[Obstacle, date | None]) -> Verdict:
    dates = [until for until in against.values() if until is not None]
    possible = max(dates) if dates and len(dates) == len(against) else None
    return Verdict(part, not against, tuple(sorted(against)), possible)


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # of a 29th of February
        return date(day.year + years, 3, 1)


class State(StrEnum):
    """Where an erasure stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"


class Step(StrEnum):
    """What somebody does to an erasure."""

    APPROVE = "APPROVE"
    REFUSE = "REFUSE"
    CANCEL = "CANCEL"


STEPS: Mapping[tuple[State, Step], State] = MappingProxyType(
    {
        (State.REQUESTED, Step.APPROVE): State.APPROVED,
        (State.REQUESTED, Step.REFUSE): State.REFUSED,
        (State.REQUESTED, Step.CANCEL): State.CANCELLED,
        (State.APPROVED, Step.CANCEL): State.CANCELLED,
    }
)
"""Every step that is possible; from all other states there is none."""


@dataclass(frozen=True)
class Erasure:
    """A person's request to be erased, and how far it came."""

    customer_id: str
    erasure_id: str
    state: State
    reference: str
    requester_id: str
    decider_id: str | None
    decision_reason: str
    create_time: datetime
    update_time: datetime
    execute_time: datetime | None
    erase_time: datetime | None
    verdicts: tuple[Verdict, ...] = ()

    def with_verdicts(self, found: Sequence[Verdict]) -> "Erasure":
        """The same, with what would become of each part now."""
        return replace(self, verdicts=tuple(found))
