"""Answers requests and takes them back; the last yes carries one out (domain.md 3)."""

from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import Kind as Refusal
from chassis.errors import Refused, not_found
from services.assignment_svc.domain.approvals import Answer, Approval, Seat, Side, event_of_no, event_of_yes
from services.assignment_svc.domain.requests import Event, Kind, State, after
from services.assignment_svc.store import gate, ownerships, requests
from services.assignment_svc.store.requests import Request, Said
from services.assignment_svc.usecases.carry_out import carry_out, end_transfer, is_overtaken
from services.assignment_svc.usecases.manual_changes import Locked, Who
from services.assignment_svc.usecases.request_plans import check_fit
from services.assignment_svc.usecases.request_views import View, Viewer, note, sides_for, view_of, viewer_of

_OVERTAKEN = "the customer was merged, or passed to others meanwhile"


@dataclass(frozen=True)
class Given:
    """What somebody says to a request: why, which manager he wants (an approval), and what he saw (empty: anything)."""

    request_id: str
    reason: str
    etag: str = ""
    to_manager_id: str | None = None


@dataclass(frozen=True)
class _Opened:
    """A request that is about to be answered: locked, as is its customer if he has an ownership."""

    who: Who
    viewer: Viewer
    request: Request
    locked: Locked | None


async def approve(tx: AsyncConnection, caller: Caller, who: Who, given: Given) -> View:
    """Says yes for every side that the caller answers for.

    A last yes to what cannot be carried out now is refused and not stored, so that it may be said again.
    """
    opened = await _open(tx, caller, who, given)
    sides = _check_answers(opened)
    request = await _with_manager(tx, opened, given, frozenset(sides))
    await _say(tx, request, sides, Answer.APPROVED, given.reason, who.actor)
    stored = await requests.get(tx, request.request_id)
    assert stored is not None, "it is locked"
    request = replace(stored, to_manager_id=request.to_manager_id)
    event = event_of_yes(request.state, request.approvals)
    said = Said(who.actor, given.reason, Side.TAKER if Side.TAKER in sides else Side.GIVER)
    if event is Event.CARRY_OUT:
        if opened.locked is None or is_overtaken(opened.locked, request):
            event = Event.HUSH if request.kind is Kind.PULL else Event.LAPSE
            said = Said("system", _OVERTAKEN, Side.GIVER)
            await _let_go(tx, opened, request)
        else:
            await carry_out(tx, who, opened.locked, request)
    await requests.move(tx, request, event, said)
    return await _told(tx, opened)


async def refuse(tx: AsyncConnection, caller: Caller, who: Who, given: Given) -> View:
    """Says no, which ends a request."""
    opened = await _open(tx, caller, who, given)
    sides = _check_answers(opened)
    request = opened.request
    event = event_of_no(request.kind, request.state, frozenset(sides))
    await _say(tx, request, sides, Answer.REFUSED, given.reason, who.actor)
    await _let_go(tx, opened, request)
    side = Side.GIVER if event is Event.HUSH or Side.TAKER not in sides else Side.TAKER
    await requests.move(tx, request, event, Said(who.actor, given.reason, side))
    return await _told(tx, opened)


async def withdraw(tx: AsyncConnection, caller: Caller, who: Who, given: Given) -> View:
    """Takes a request back, by who made it."""
    opened = await _open(tx, caller, who, given)
    if opened.request.creator != who.actor:
        raise Refused(Refusal.FORBIDDEN, "NOT_APPROVER", "only who made a request may take it back")
    await _let_go(tx, opened, opened.request)
    await requests.move(tx, opened.request, Event.WITHDRAW, Said(who.actor, given.reason))
    return await _told(tx, opened)


async def check_seen(conn: AsyncConnection, caller: Caller, request_id: str) -> None:
    """Refuses whoever does not see a request."""
    found = await requests.get(conn, request_id)
    if found is None or view_of(found, await viewer_of(conn, caller)) is None:
        raise not_found()


async def _open(tx: AsyncConnection, caller: Caller, who: Who, given: Given) -> _Opened:
    """Passes the gate, locks the customer, then the request; refuses who does not see it, an old etag, a late call."""
    day = await gate.pass_by_hand(tx)
    found = await requests.get(tx, given.request_id)
    if found is None:
        raise not_found()
    owned = await gate.lock_customers(tx, [found.customer_id])
    request = await requests.lock(tx, given.request_id)
    viewer = await viewer_of(tx, caller)
    view = view_of(request, viewer) if request is not None else None
    if request is None or view is None:
        raise not_found()
    if given.etag and given.etag != view.etag:
        raise Refused(Refusal.CONFLICT, "ETAG_OLD", "somebody changed the request: read it again", {"etag": view.etag})
    # A merge between the two reads gave it another customer, who is not locked: the call may be made again.
    if request.customer_id != found.customer_id:
        raise Refused(Refusal.UNAVAILABLE, "DATABASE_BUSY", "the customer is being merged; try again")
    if view.state is not State.PENDING or after(request.state, Event.WITHDRAW) is None:
        told = {"state": view.state.value}
        raise Refused(Refusal.PRECONDITION, "REQUEST_DECIDED", f"the request is {view.state}", told)
    locked = None
    if request.customer_id in owned:
        (ownership,) = await ownerships.of_customers(tx, [request.customer_id])
        locked = Locked(day, ownership)
    return _Opened(who, viewer, request, locked)


def _check_answers(opened: _Opened) -> dict[Side, Seat]:
    sides = sides_for(opened.request, opened.viewer)
    if not sides:
        if opened.viewer.staff_id == opened.request.creator:
            message = "nobody answers his own request, nor one about himself"
            raise Refused(Refusal.FORBIDDEN, "OWN_REQUEST", message)
        raise Refused(Refusal.FORBIDDEN, "NOT_APPROVER", "others answer for the sides that have yet to answer")
    return sides


async def _with_manager(tx: AsyncConnection, opened: _Opened, given: Given, sides: frozenset[Side]) -> Request:
    """The request with the manager whom the taker's side chose, if it did."""
    request = opened.request
    if given.to_manager_id is None or given.to_manager_id == request.to_manager_id:
        return request
    is_taker = Side.TAKER in sides or request.from_branch_id == request.to_branch_id
    if not is_taker or request.kind not in {Kind.PUSH, Kind.PULL}:
        raise Refused(Refusal.FORBIDDEN, "NOT_APPROVER", "to_manager: is chosen by the taker of a transfer only")
    await check_fit(tx, given.to_manager_id, request.to_branch_id, request.customer_id, opened.viewer.day)
    return replace(request, to_manager_id=given.to_manager_id)


async def _say(  # noqa: PLR0913, PLR0917 -- an answer with what is kept of it
    tx: AsyncConnection, request: Request, sides: dict[Side, Seat], answer: Answer, reason: str, staff_id: str
) -> None:
    for side, seat in sides.items():
        head = None if seat.head_id == staff_id else seat.head_id
        given = Approval(side, seat.branch_id, 0, None, staff_id=staff_id, on_behalf_of=head, reason=reason)
        await requests.answer(tx, request, [side], answer, given)


async def _let_go(tx: AsyncConnection, opened: _Opened, request: Request) -> None:
    """The customer is free again."""
    if opened.locked is not None:
        await end_transfer(tx, opened.who, opened.locked, request)


async def _told(tx: AsyncConnection, opened: _Opened) -> View:
    request = await requests.get(tx, opened.request.request_id)
    assert request is not None, "it is locked"
    await note(tx, opened.who, request)
    view = view_of(request, opened.viewer, await requests.transitions(tx, request))
    assert view is not None, "who answered it sees it"
    return view
