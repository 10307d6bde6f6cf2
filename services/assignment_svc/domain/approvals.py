"""Whose yes a request needs, and who may give it (domain.md 3).

Readings of what the domain leaves open:

- Each side of a request is a branch with a desk: the branch whose heads answer for it. It is the side's own branch, one
  level up after an escalation. Heads who may not answer do not count: who made the request, whom it is about, and his
  declared relatives. A desk without any moves up to the nearest branch that has one, and from the top back down. Then
  the lower level has no say any more: an escalation takes the decision away.
- A head who makes a request has said his side's yes with it. He answers for no other side of it: nobody approves his
  own request.
- "A lock is approved by both heads (or one level up)": the heads of the branch to be locked and of the one that leads
  now; where that is one branch, its head and the level above. Of locks the level above a desk may answer too, and one
  answer counts for every side that its giver answers for, so one head above both sides is enough.
- A delegate stands for his head on his days; he is kept out where the head is, and where he himself is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.assignment_svc.domain.requests import Event, Kind, State


class Side(StrEnum):
    """Whose answer."""

    GIVER = "GIVER"
    TAKER = "TAKER"


class Answer(StrEnum):
    """How far an answer is."""

    WAITING = "WAITING"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    VOID = "VOID"


@dataclass(frozen=True)
class Needed:
    """A side that must answer: its branch, and how many levels above it the first desk is."""

    side: Side
    branch_id: str
    level: int = 0


@dataclass(frozen=True)
class Approval:
    """One side's answer. The desks are those whose heads may give it: one, of locks also the one above."""

    side: Side
    branch_id: str
    level: int
    desk_branch_id: str | None
    upper_desk_branch_id: str | None = None
    answer: Answer = Answer.WAITING
    staff_id: str | None = None
    on_behalf_of: str | None = None
    reason: str = ""
    answer_time: datetime | None = None

    @property
    def desks(self) -> frozenset[str]:
        return frozenset({self.desk_branch_id, self.upper_desk_branch_id} - {None})  # pyright: ignore[reportReturnType]  # None is taken out


@dataclass(frozen=True)
class Seat:
    """A desk at which somebody answers, as its head himself or in the place of `head_id`."""

    branch_id: str
    head_id: str


@dataclass(frozen=True)
class Rung:
    """A branch on the way up from a side's own, with those who may answer there."""

    branch_id: str
    heads: frozenset[str]


def needed(kind: Kind, from_branch_id: str, to_branch_id: str) -> tuple[Needed, ...]:
    """The sides that must answer a request."""
    giver, taker = Needed(Side.GIVER, from_branch_id), Needed(Side.TAKER, to_branch_id)
    if kind in {Kind.LOCK, Kind.UNLOCK} and from_branch_id == to_branch_id:
        return (Needed(Side.GIVER, from_branch_id, 1), taker)
    if from_branch_id != to_branch_id:
        return (giver, taker)
    # A pull within the branch looks to whoever made it as any other: his own side answers.
    return (taker,) if kind is Kind.PULL else (giver,)


def desk_of(way_up: Sequence[Rung], level: int, barred: frozenset[str]) -> str | None:
    """The branch that answers for a side: the nearest from a level on that has somebody, else the nearest below it.

    The same stands set-based in `store/requests.py`; a test holds the two equal.
    """
    manned = [place for place, rung in enumerate(way_up) if rung.heads - barred]
    start = min(level, len(way_up) - 1)
    above = [place for place in manned if place >= start]
    below = [place for place in manned if place < start]
    found = above[0] if above else below[-1] if below else None
    return None if found is None else way_up[found].branch_id


def answering(
    approvals: Iterable[Approval], staff_id: str, seats: Sequence[Seat], barred: frozenset[str]
) -> Mapping[Side, Seat]:
    """The sides that a member of the staff may answer for now, with the seat by which he does: his own goes first.

    Nobody is `barred` who did not make the request and whom it is not about.
    """
    if staff_id in barred:
        return {}
    ready = sorted((seat for seat in seats if seat.head_id not in barred), key=lambda seat: seat.head_id != staff_id)
    found: dict[Side, Seat] = {}
    for one in approvals:
        seat = next((seat for seat in ready if seat.branch_id in one.desks), None)
        if one.answer is Answer.WAITING and seat is not None:
            found[one.side] = seat
    return found


def event_of_yes(state: State, approvals: Iterable[Approval]) -> Event:
    """What a yes leads to."""
    is_last = all(one.answer is Answer.APPROVED for one in approvals)
    return Event.CARRY_OUT if is_last and state is State.PENDING else Event.APPROVE


def event_of_no(kind: Kind, state: State, sides: frozenset[Side]) -> Event:
    """What a no leads to: that of a pull's giver is kept from whoever made it."""
    is_hushed = kind is Kind.PULL and state is State.PENDING and Side.TAKER not in sides
    return Event.HUSH if is_hushed else Event.REFUSE
