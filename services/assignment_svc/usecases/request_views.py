"""What of a request somebody sees (domain.md 3).

A request is seen by who made it, by whoever answers or answered for one of its sides, and by the heads of its branches
and those above; by the one whom it is about, and by his declared relatives, only if they made it. All of it is seen,
but for a pull: its taker's side sees what it asked for and what it said itself, until the giver's side approves. A
delegate sees by his seat what he may answer, and nothing else: no customer becomes visible by it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.sql.audit import AuditEntry, audit
from services.assignment_svc.domain.approvals import Seat, Side, answering
from services.assignment_svc.domain.requests import OPEN, Event, Kind, State
from services.assignment_svc.store import org, request_desks
from services.assignment_svc.store.business_day import business_day
from services.assignment_svc.store.requests import Request, Transition
from services.assignment_svc.usecases.manual_changes import Who

# What the taker of a pull is not told: that its giver, or nobody, said no.
_KEPT_QUIET = frozenset({Event.HUSH, Event.LAPSE})


@dataclass(frozen=True)
class Viewer:
    """Who looks: what he leads as a head, where he answers, and what lies below his seats."""

    staff_id: str
    branch_id: str
    led: frozenset[str]
    seats: tuple[Seat, ...]
    reached: frozenset[str]
    day: date


@dataclass(frozen=True)
class View:
    """A request as one viewer sees it; what he does not see is empty, and SILENT is told to nobody."""

    request: Request
    state: State
    due_time: datetime | None
    waits_for_viewer: bool
    is_whole: bool
    transitions: tuple[Transition, ...] = ()

    @property
    def etag(self) -> str:
        """Changes with whatever he sees, so that it tells nothing of what he does not see."""
        seen = (self.request, self.state, self.due_time, self.waits_for_viewer)
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


async def viewer_of(conn: AsyncConnection, caller: Caller) -> Viewer:
    """The caller, where he sits on the business day."""
    day = await business_day(conn)
    led = await org.subtree(conn, caller.branch_id) if Role.BRANCH_HEAD in caller.roles else frozenset[str]()
    seats = await request_desks.seats_of(conn, caller.staff_id, day)
    reached = led
    for seat in seats:
        reached |= await org.subtree(conn, seat.branch_id)
    return Viewer(caller.staff_id, caller.branch_id, led, seats, reached, day)


async def note(tx: AsyncConnection, who: Who, request: Request) -> None:
    """Remembers what somebody did to a request; auditors find it by the customer, also by one whom he is not told."""
    told = {"request": request.request_id}
    await audit(tx, [AuditEntry(who.actor, who.branch_id, who.request_id, who.method, request.customer_id, told)])


def sides_for(request: Request, viewer: Viewer) -> dict[Side, Seat]:
    """The sides of an open request that the viewer may answer for, and by which seat."""
    if request.state not in OPEN:
        return {}
    barred = request.concerned | {request.creator}
    return dict(answering(request.approvals, viewer.staff_id, viewer.seats, barred))


def view_of(request: Request, viewer: Viewer, transitions: Sequence[Transition] = ()) -> View | None:
    """What the viewer sees of a request; None if it does not exist for him."""
    sides = sides_for(request, viewer)
    if not (sides or _concerns(request, viewer)):
        return None
    is_whole = request.kind is not Kind.PULL or request.state is State.APPROVED or _is_giver(request, viewer)
    if is_whole:
        state = State.REFUSED if request.state is State.SILENT else request.state
        shown = replace(request, display_name="", masked_id_number="") if _is_given(request, viewer) else request
    else:
        state = _quiet(request.state)
        own = tuple(one for one in request.approvals if one.side is Side.TAKER)
        shown = replace(request, customer_id="", from_branch_id=None, from_manager_id=None, approvals=own)
    # Who looks after him at the branch that leads is not for a secondary side that wants to lead.
    if request.kind is Kind.LOCK and request.from_branch_id != request.to_branch_id and not _is_giver(request, viewer):
        shown = replace(shown, from_manager_id=None)
    # Which of several states it is in, and whether it binds anybody, is told by `state` alone; relatives by nothing.
    shown = replace(shown, state=state, exclusive=False, relatives=frozenset())
    return View(
        request=shown,
        state=state,
        due_time=request.due_time if state is State.PENDING else None,
        waits_for_viewer=bool(sides) and state is State.PENDING,
        is_whole=is_whole,
        transitions=tuple(transitions) if is_whole else _told(transitions),
    )


def _concerns(request: Request, viewer: Viewer) -> bool:
    # Who made it sees it whomever it is about: of a pull he must not find out.
    if request.creator == viewer.staff_id:
        return True
    if viewer.staff_id in request.concerned:
        return False
    if any(one.staff_id == viewer.staff_id for one in request.approvals):
        return True
    return request.to_branch_id in viewer.led or (request.from_branch_id or "") in viewer.led


def _is_giver(request: Request, viewer: Viewer) -> bool:
    return (request.from_branch_id or "") in viewer.reached and viewer.staff_id not in request.concerned


def _is_given(request: Request, viewer: Viewer) -> bool:
    """Says whether he is of the giver's side alone, who knows the customer by his id."""
    return _is_giver(request, viewer) and request.creator != viewer.staff_id


def _quiet(state: State) -> State:
    return State.PENDING if state is State.SILENT else state


def _told(transitions: Sequence[Transition]) -> tuple[Transition, ...]:
    """What the taker's side is told of a pull that its giver did not approve."""
    return tuple(
        replace(one, from_state=_quiet(one.from_state) if one.from_state else None, to_state=_quiet(one.to_state))
        for one in transitions
        if one.event not in _KEPT_QUIET and one.side is not Side.GIVER
    )
