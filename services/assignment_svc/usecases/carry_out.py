"""Carries out a request to which everybody said yes: sets inputs of allocation, and lets allocation decide."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind as Refusal
from chassis.errors import Refused
from services.assignment_svc.domain.allocation import primary
from services.assignment_svc.domain.changes import Change, ChangeKind
from services.assignment_svc.domain.ownership import Hold, HoldKind, OfficerOverride, Side
from services.assignment_svc.domain.requests import Kind
from services.assignment_svc.store import claims, manual_changes, protections
from services.assignment_svc.store.requests import Request
from services.assignment_svc.usecases.manual_changes import (
    Changed,
    Locked,
    Move,
    Naming,
    Who,
    allocated,
    check_changeable,
    check_manager,
    kept,
    move_primary,
    name_manager,
    row_at,
    rule_decides,
)


async def carry_out(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> Changed:
    """Does what was approved. Refuses, so that the request stays as it was, what cannot be now."""
    if request.to_manager_id in request.concerned:
        message = "to_manager: the customer himself, or his relative"
        raise Refused(Refusal.PRECONDITION, "MANAGER_UNFIT", message, {"staff": request.to_manager_id or ""})
    return await _CARRY_OUT[request.kind](tx, who, locked, request)


def is_overtaken(locked: Locked, request: Request) -> bool:
    """Says whether a request means what is no more: it binds nobody since a merge, or its giver leads no more."""
    if not request.exclusive:
        return True
    if request.from_branch_id == request.to_branch_id:
        return all(row.branch_id != request.to_branch_id for row in locked.ownership.owners)
    leads = primary(locked.ownership.owners)
    return leads is None or leads.branch_id != request.from_branch_id


async def end_transfer(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> None:
    """Ends the hold that a pending transfer had; without one nothing happens."""
    if await manual_changes.end_hold(tx, locked.customer_id, request.request_id):
        await allocated(tx, who, locked)


async def _transfer(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> Changed:
    """Across branches, and of the primary row within one, by what every transfer of the primary side does."""
    is_within = request.from_branch_id == request.to_branch_id
    if is_within and row_at(locked.ownership, request.to_branch_id).side is Side.SECONDARY:
        # It has a hold if its two branches became one meanwhile.
        await manual_changes.end_hold(tx, locked.customer_id, request.request_id)
        return await _hand_over(tx, who, locked, request)
    move = Move(
        request.to_branch_id,
        request.to_manager_id,
        request.reason,
        hold_id=request.request_id,
        request_id=request.request_id,
    )
    return await move_primary(tx, who, locked, move)


async def _hand_over(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> Changed:
    """Gives a row of the branch to another manager; of a loan there he stands in for its officer."""
    check_changeable(locked.ownership)
    customer_id, branch_id, staff_id = locked.customer_id, request.to_branch_id, request.to_manager_id
    row = row_at(locked.ownership, branch_id)
    before = (await manual_changes.inputs_of(tx, [customer_id]))[customer_id]
    sources = await claims.sources_at(tx, customer_id, branch_id)
    if staff_id is not None:
        await check_manager(tx, locked, branch_id, staff_id, row.manager_id == staff_id)
        if sources.loan_id is not None and (sources.officer_id is not None or request.kind is Kind.OFFICER):
            override = OfficerOverride(sources.loan_id, sources.officer_id, staff_id)
            await manual_changes.put_override(tx, customer_id, override)
    elif row.manager_id is not None:
        await manual_changes.end_overrides(tx, customer_id, branch_id, row.manager_id)
    if request.kind is not Kind.OFFICER:
        await manual_changes.put_name(tx, customer_id, branch_id, staff_id)
    after = await allocated(tx, who, locked)
    if row_at(after, branch_id).manager_id != staff_id:
        raise rule_decides()
    kind = ChangeKind.OFFICER_OVERRIDE if request.kind is Kind.OFFICER else ChangeKind.TRANSFER
    change = Change(
        customer_id,
        kind,
        branch_id,
        request.reason,
        who.actor,
        before,
        from_manager_id=row.manager_id,
        to_manager_id=staff_id,
        request_id=request.request_id,
    )
    return await kept(tx, who, change)


async def _lock(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> Changed:
    check_changeable(locked.ownership)
    customer_id, branch_id, staff_id = locked.customer_id, request.to_branch_id, request.to_manager_id
    before = (await manual_changes.inputs_of(tx, [customer_id]))[customer_id]
    if staff_id is not None:
        has_him = any(row.manager_id == staff_id for row in locked.ownership.owners)
        await check_manager(tx, locked, branch_id, staff_id, has_him)
    hold = Hold(request.request_id, HoldKind.LOCK, branch_id, staff_id, locked.day, request.end_date)
    await manual_changes.put_hold(tx, customer_id, hold, request.reason)
    after = await allocated(tx, who, locked)
    leads = primary(after.owners)
    if leads is None or leads.branch_id != branch_id:
        raise rule_decides()
    return await kept(tx, who, _change_of_lock(request, who, locked, before, ChangeKind.LOCK))


async def _unlock(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> Changed:
    check_changeable(locked.ownership)
    before = (await manual_changes.inputs_of(tx, [locked.customer_id]))[locked.customer_id]
    for hold in await protections.holds_at(tx, locked.customer_id, request.to_branch_id):
        if hold.kind is HoldKind.LOCK:
            await manual_changes.end_hold(tx, locked.customer_id, hold.hold_id)
    await allocated(tx, who, locked)
    return await kept(tx, who, _change_of_lock(request, who, locked, before, ChangeKind.UNLOCK))


def _change_of_lock(
    request: Request, who: Who, locked: Locked, before: Mapping[str, object], kind: ChangeKind
) -> Change:
    return Change(
        locked.customer_id,
        kind,
        request.to_branch_id,
        request.reason,
        who.actor,
        before,
        from_manager_id=request.from_manager_id,
        to_manager_id=request.to_manager_id,
        from_branch_id=request.from_branch_id,
        to_branch_id=request.to_branch_id,
        request_id=request.request_id,
    )


async def _reclaim(tx: AsyncConnection, who: Who, locked: Locked, request: Request) -> Changed:
    """Of a loan its officer comes back, if the manager stood in for him; from the officer himself nobody reclaims."""
    naming = Naming(request.to_branch_id, None, request.reason, ChangeKind.RECLAIM, request.request_id)
    changed = await name_manager(tx, who, locked, naming)
    if any(
        row.branch_id == request.to_branch_id and row.manager_id == request.from_manager_id
        for row in changed.ownership.owners
    ):
        raise rule_decides()
    return changed


_CARRY_OUT: Mapping[Kind, Callable[[AsyncConnection, Who, Locked, Request], Awaitable[Changed]]] = MappingProxyType(
    {
        Kind.PUSH: _transfer,
        Kind.PULL: _transfer,
        Kind.LOCK: _lock,
        Kind.UNLOCK: _unlock,
        Kind.OFFICER: _hand_over,
        Kind.RECLAIM: _reclaim,
    }
)
