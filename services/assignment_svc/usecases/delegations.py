"""Lets heads name who answers requests in their place (domain.md 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from services.assignment_svc.domain.reasons import reason_fault
from services.assignment_svc.store import delegations, org
from services.assignment_svc.store.business_day import business_day
from services.assignment_svc.store.delegations import Delegation, Looking, Named

_DAYS_MAX = 366


@dataclass(frozen=True)
class Wanted:
    """Whom a head wants to answer in his place, on which days and why."""

    delegate_id: str
    from_date: date
    until_date: date
    reason: str


async def create(tx: AsyncConnection, caller: Caller, wanted: Wanted) -> Delegation:
    """Names a delegate; the head is locked, so that two of his calls come one after the other."""
    today = await business_day(tx)
    _check_days(wanted, today)
    await delegations.lock_head(tx, caller.staff_id)
    staff = await org.get_staff(tx, wanted.delegate_id)
    is_active = staff is not None and staff.is_active(max(today, wanted.from_date))
    if not is_active or staff is None or staff.branch_id != caller.branch_id or staff.staff_id == caller.staff_id:
        message = "delegate: no active member of the staff of your branch, or yourself"
        told = {"staff": wanted.delegate_id, "field": "delegate"}
        raise Refused(Kind.PRECONDITION, "DELEGATE_UNFIT", message, told)
    named = Named(str(uuid4()), caller.staff_id, caller.branch_id, **vars(wanted))
    other = await delegations.overlapping(tx, named)
    if other is not None:
        message = "you have a delegate for some of these days"
        raise Refused(Kind.ALREADY_EXISTS, "DELEGATION_OVERLAP", message, {"delegation": other})
    return await delegations.add(tx, named)


async def get(conn: AsyncConnection, caller: Caller, delegation_id: str) -> Delegation:
    """One; the same refusal if there is none and if the caller may not see it."""
    found = await delegations.get(conn, delegation_id, await _looking(conn, caller))
    if found is None:
        raise not_found()
    return found


async def page(conn: AsyncConnection, caller: Caller, before: tuple[datetime, str], limit: int) -> Sequence[Delegation]:
    """Those that the caller sees, the youngest first."""
    return await delegations.page(conn, await _looking(conn, caller), before, limit)


async def end(tx: AsyncConnection, caller: Caller, delegation_id: str) -> Delegation:
    """Ends one, by its head or one above him; one that was ended stays as it is."""
    found = await get(tx, caller, delegation_id)
    if caller.staff_id != found.head_id and found.branch_id not in (await _looking(tx, caller)).led:
        raise Refused(Kind.FORBIDDEN, "NOT_HEAD", "only the head may end it", {"branch": found.branch_id})
    await delegations.end(tx, delegation_id, caller.staff_id)
    return await get(tx, caller, delegation_id)


async def _looking(conn: AsyncConnection, caller: Caller) -> Looking:
    led = await org.subtree(conn, caller.branch_id) if Role.BRANCH_HEAD in caller.roles else frozenset[str]()
    return Looking(caller.staff_id, led)


def _check_days(wanted: Wanted, today: date) -> None:
    faults: list[Violation] = []
    if wanted.until_date < wanted.from_date:
        faults.append(Violation("delegation.until_date", "must not be before from_date"))
    elif (wanted.until_date - wanted.from_date).days >= _DAYS_MAX:
        faults.append(Violation("delegation.until_date", f"must be less than {_DAYS_MAX} days after from_date"))
    if wanted.until_date < today:
        faults.append(Violation("delegation.until_date", f"must not be before the business date {today}"))
    if fault := reason_fault(wanted.reason):
        faults.append(Violation("delegation.reason", fault))
    if faults:
        raise invalid_fields(faults)
