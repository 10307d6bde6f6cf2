"""Makes, tells and lists requests to change who owns a customer (domain.md 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.caller import Caller, Role
from chassis.errors import Kind as Refusal
from chassis.errors import Refused, invalid_field, not_found
from chassis.sql.audit import audit_reads
from policy.visibility import Level
from services.assignment_svc.domain.approvals import Answer, Approval, Needed, Side, event_of_yes, needed
from services.assignment_svc.domain.ownership import Hold, HoldKind
from services.assignment_svc.domain.requests import Event, Kind, timing_of
from services.assignment_svc.domain.requests import State as RequestState
from services.assignment_svc.store import (
    accounts,
    allocation,
    gate,
    holidays,
    ownerships,
    request_desks,
    request_lists,
    requests,
)
from services.assignment_svc.store.manual_changes import put_hold
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.store.request_lists import Asking, Place
from services.assignment_svc.store.requests import Request, Said
from services.assignment_svc.usecases.carry_out import carry_out
from services.assignment_svc.usecases.manual_changes import Locked, Who, check_changeable
from services.assignment_svc.usecases.pulls import plan_of_pull
from services.assignment_svc.usecases.read_ownership import Reader, level_of, scope_of_caller
from services.assignment_svc.usecases.request_plans import Asked, Plan, Wish, check_fit, plan_of
from services.assignment_svc.usecases.request_views import View, Viewer, note, view_of, viewer_of


async def create(tx: AsyncConnection, caller: Caller, who: Who, wish: Wish) -> View:
    """Stores a request; carried out at once if it needs nobody else's yes.

    The gate is passed first, then the customer is locked: two requests for him come one after the other.
    """
    day = await gate.pass_by_hand(tx)
    if wish.customer_id:
        await gate.lock_customers(tx, [wish.customer_id])
    if wish.kind is Kind.PULL:
        return await _create_pull(tx, caller, who, wish, day)
    ownership = await check_seen(tx, caller, wish.customer_id)
    _check_etag(ownership, wish.ownership_etag)
    row = next((row for row in ownership.owners if row.branch_id == caller.branch_id), None)
    if row is None:
        message = "only the branches that own the customer may ask for this"
        raise Refused(Refusal.FORBIDDEN, "NOT_MANAGER", message, {"branch": caller.branch_id})
    check_changeable(ownership)
    await _check_free(tx, ownership, caller.branch_id)
    asked = Asked(caller, wish, ownership, row, day, await allocation.policy_in_force(tx, day))
    plan = await plan_of(tx, asked)
    if plan.to_manager_id is not None:
        await check_fit(tx, plan.to_manager_id, plan.to_branch_id, wish.customer_id, day)
    request = await _request_of(tx, caller, wish, plan, exclusive=True)
    sides = needed(wish.kind, plan.from_branch_id, plan.to_branch_id)
    return await _store(tx, caller, who, request, sides, Locked(day, ownership))


async def check_seen(conn: AsyncConnection, caller: Caller, customer_id: str) -> Ownership:
    """The ownership of a customer whom the caller sees; the same refusal if he does not, and if there is none."""
    # Looked at nothing yet: whether they are customers is not told.
    if customer_id in await accounts.conflicts(conn, caller.staff_id):
        raise Refused(Refusal.FORBIDDEN, "OWN_REQUEST", "nobody asks for himself, nor for a relative")
    found = await ownerships.of_customers(conn, [customer_id])
    scope = await scope_of_caller(conn, caller)
    if not found or level_of(found[0], scope) < Level.SECONDARY:
        raise not_found()
    return found[0]


async def get_request(conn: AsyncConnection, reader: Reader, request_id: str) -> View:
    """One request with all that happened to it; the same refusal if there is none and if the caller may not see it."""
    viewer = await viewer_of(conn, reader.caller)
    return await seen(conn, reader, request_id, viewer)


async def seen(conn: AsyncConnection, reader: Reader, request_id: str, viewer: Viewer) -> View:
    """As `get_request`, for a viewer who is known."""
    found = await requests.get(conn, request_id)
    view = None if found is None else view_of(found, viewer, await requests.transitions(conn, found))
    if view is None:
        raise not_found()
    await audit_reads(conn, reader.entry, [view.request.customer_id] if view.request.customer_id else [])
    return view


@dataclass(frozen=True)
class Inbox:
    """Which requests to list: what waits for the caller, what he made (`made`), or what concerns a branch."""

    state: str | None = None
    made: bool = False
    branch_id: str | None = None


async def list_requests(
    conn: AsyncConnection, reader: Reader, inbox: Inbox, after: Place | None, size: int
) -> tuple[list[View], Place | None]:
    """A page of requests, what is due first first, and where the next one begins."""
    viewer = await viewer_of(conn, reader.caller)
    asking = Asking(viewer.staff_id, viewer.reached, inbox.state, after, size + 1)
    if inbox.branch_id is not None:
        if inbox.branch_id not in viewer.led:
            raise not_found()
        places = await request_lists.concerning(conn, asking, inbox.branch_id)
    elif inbox.made:
        places = await request_lists.made_by(conn, asking)
    else:
        places = await request_lists.waiting_for(conn, asking, viewer.seats)
    page = places[:size]
    found = await requests.get_all(conn, [place.request_id for place in page])
    views = [view for one in found if (view := view_of(one, viewer)) is not None]
    await audit_reads(conn, reader.entry, {view.request.customer_id for view in views} - {""})
    return views, page[-1] if len(places) > size else None


async def _create_pull(tx: AsyncConnection, caller: Caller, who: Who, wish: Wish, day: date) -> View:
    """Stores a pull, the same way whether or not it can come to anything (`domain.requests`)."""
    if wish.to_branch_id not in {None, caller.branch_id}:
        raise invalid_field("ownership_request.to_branch", "must be your own branch, or empty")
    to_manager_id = wish.to_manager_id or (caller.staff_id if Role.MANAGER in caller.roles else None)
    if to_manager_id is not None:
        await check_fit(tx, to_manager_id, caller.branch_id, "", day)
    found = await plan_of_pull(tx, caller, wish, to_manager_id, day)
    if found.ownership is not None:
        request = await _request_of(tx, caller, wish, found.plan, exclusive=True)
        sides = needed(Kind.PULL, found.plan.from_branch_id, caller.branch_id)
        return await _store(tx, caller, who, request, sides, Locked(day, found.ownership))
    request = await _request_of(tx, caller, wish, found.plan, exclusive=False)
    both = (Needed(Side.GIVER, found.plan.from_branch_id), Needed(Side.TAKER, caller.branch_id))
    await requests.add(tx, request, [one for one in both if one.branch_id], Said(who.actor, wish.reason))
    said = Said("system", found.dead_end, Side.GIVER)
    given = Approval(Side.GIVER, "", 0, None, reason=found.dead_end)
    await requests.answer(tx, request, [Side.GIVER], Answer.REFUSED, given)
    await requests.move(tx, request, Event.HUSH, said)
    return await _agree(tx, caller, who, request.request_id, None)


async def _store(  # noqa: PLR0913, PLR0917 -- who, what, and whom to ask
    tx: AsyncConnection, caller: Caller, who: Who, request: Request, sides: Sequence[Needed], locked: Locked
) -> View:
    await requests.add(tx, request, sides, Said(who.actor, request.reason))
    if request.kind in {Kind.PUSH, Kind.PULL} and request.from_branch_id != request.to_branch_id:
        giver = request.from_branch_id
        assert giver is not None, "a transfer has a giver"
        hold = Hold(request.request_id, HoldKind.TRANSFER, giver, request.from_manager_id, locked.day, None)
        await put_hold(tx, request.customer_id, hold, request.reason)
    return await _agree(tx, caller, who, request.request_id, locked)


async def _agree(tx: AsyncConnection, caller: Caller, who: Who, request_id: str, locked: Locked | None) -> View:
    """Says the yes of a head who made the request; finds who answers for the rest."""
    request = await _stored(tx, request_id)
    own = [
        one.side
        for one in request.approvals
        if Role.BRANCH_HEAD in caller.roles and one.branch_id == caller.branch_id and one.level == 0
    ]
    if own:
        given = Approval(own[0], caller.branch_id, 0, None, staff_id=who.actor, reason=request.reason)
        await requests.answer(tx, request, own, Answer.APPROVED, given)
    viewer = await viewer_of(tx, caller)
    await request_desks.seat(tx, viewer.day, [request_id])
    request = await _stored(tx, request_id)
    if own and locked is not None and event_of_yes(request.state, request.approvals) is Event.CARRY_OUT:
        await carry_out(tx, who, locked, request)
        await requests.move(tx, request, Event.CARRY_OUT, Said(who.actor, request.reason))
        request = await _stored(tx, request_id)
    await note(tx, who, request)
    view = view_of(request, viewer, await requests.transitions(tx, request))
    assert view is not None, "who made it sees it"
    return view


async def _stored(tx: AsyncConnection, request_id: str) -> Request:
    request = await requests.get(tx, request_id)
    assert request is not None, "it was just stored"
    return request


async def _request_of(tx: AsyncConnection, caller: Caller, wish: Wish, plan: Plan, *, exclusive: bool) -> Request:
    created = clock.bank_date(await requests.bank_now(tx))
    patience = (await requests.policy(tx)).patience
    timing = timing_of(created, patience, await holidays.calendar_after(tx, created), clock.BANK_ZONE)
    return Request(
        customer_id=wish.customer_id,
        request_id=str(uuid4()),
        kind=wish.kind,
        state=RequestState.PENDING,
        exclusive=exclusive,
        from_branch_id=plan.from_branch_id or None,
        from_manager_id=plan.from_manager_id,
        to_branch_id=plan.to_branch_id,
        to_manager_id=plan.to_manager_id,
        reason=wish.reason,
        due_time=timing.escalate_time,
        expire_time=timing.expire_time,
        creator=caller.staff_id,
        display_name=wish.display_name,
        masked_id_number=wish.masked_id_number,
        loan_id=wish.loan_id,
        end_date=wish.end_date,
    )


async def _check_free(tx: AsyncConnection, ownership: Ownership, branch_id: str) -> None:
    pending = await requests.pending_of(tx, ownership.customer_id, branch_id)
    if pending is not None:
        assert pending.create_time is not None, "it is stored"
        told = {"create_time": pending.create_time.isoformat(), "request": pending.request_id}
        raise Refused(Refusal.CONFLICT, "REQUEST_PENDING", "another request for the customer is pending", told)


def _check_etag(ownership: Ownership, etag: str) -> None:
    if etag and etag != ownership.etag:
        raise Refused(Refusal.CONFLICT, "ETAG_OLD", "somebody changed the ownership: read it again", {"etag": etag})
