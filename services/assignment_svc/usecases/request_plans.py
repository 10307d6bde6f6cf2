"""What each kind of request asks for, and who may make it (domain.md 3, manual flows)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind as Refusal
from chassis.errors import Refused, invalid_field
from services.assignment_svc.domain.allocation import months_after, primary
from services.assignment_svc.domain.holds import is_active
from services.assignment_svc.domain.ownership import Hold, HoldKind, Owner, Policy, Side
from services.assignment_svc.domain.requests import Kind
from services.assignment_svc.store import claims, org, protections, requests
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.usecases.manual_changes import MANAGER_ROLES


@dataclass(frozen=True)
class Wish:
    """What somebody asks for. Of a pull the customer's id is not his to say: the name and the number are."""

    kind: Kind
    reason: str
    customer_id: str = ""
    to_branch_id: str | None = None
    to_manager_id: str | None = None
    loan_id: str | None = None
    end_date: date | None = None
    ownership_etag: str = ""
    display_name: str = ""
    masked_id_number: str = ""
    open_task: str | None = None
    """Of a reclaim: a task that the manager has open for the customer."""
    seen_manager_id: str | None = None
    """Of a reclaim: whose tasks were looked at."""


@dataclass(frozen=True)
class Plan:
    """Between whom a request is to change what."""

    from_branch_id: str
    from_manager_id: str | None
    to_branch_id: str
    to_manager_id: str | None


@dataclass(frozen=True)
class Asked:
    """A wish about a customer whom its maker sees, with the row of the maker's branch."""

    caller: Caller
    wish: Wish
    ownership: Ownership
    row: Owner
    day: date
    policy: Policy

    @property
    def is_head(self) -> bool:
        return Role.BRANCH_HEAD in self.caller.roles


async def plan_of(tx: AsyncConnection, asked: Asked) -> Plan:
    """What a request of any kind but PULL asks for; refuses whoever may not make it, and what cannot be."""
    return await _PLANS[asked.wish.kind](tx, asked)


async def check_fit(tx: AsyncConnection, staff_id: str, branch_id: str, customer_id: str, day: date) -> None:
    """Refuses as manager whoever is not an active manager of the branch, or is the customer himself."""
    staff = await org.get_staff(tx, staff_id)
    is_fit = (
        staff is not None
        and staff.is_active(day)
        and staff.branch_id == branch_id
        and bool(set(MANAGER_ROLES) & set(staff.roles))
    )
    if not is_fit or staff_id == customer_id:
        message = "to_manager: no active manager of the branch, or the customer himself"
        raise Refused(Refusal.PRECONDITION, "MANAGER_UNFIT", message, {"staff": staff_id, "field": "to_manager"})


async def standing_holds(tx: AsyncConnection, asked: Asked, branch_id: str) -> list[Hold]:
    """What holds or protects a branch's row on the day."""
    found = await protections.holds_at(tx, asked.ownership.customer_id, branch_id)
    return [hold for hold in found if is_active(hold, asked.day, asked.policy)]


async def _push(tx: AsyncConnection, asked: Asked) -> Plan:
    _check_manages(asked)
    row, wish = asked.row, asked.wish
    to_branch_id = wish.to_branch_id or row.branch_id
    await _check_unlocked(tx, asked)
    if to_branch_id == row.branch_id:
        _check_changes(wish.to_manager_id, row.manager_id)
    elif row.side is not Side.PRIMARY:
        raise _unfit("the giver does not lead the relation with the customer", row.branch_id)
    else:
        branch = await org.get_branch(tx, to_branch_id)
        if branch is None or (branch.close_date is not None and branch.close_date <= asked.day):
            raise _unfit("to_branch: does not exist, or is closed", to_branch_id)
    return Plan(row.branch_id, row.manager_id, to_branch_id, wish.to_manager_id)


async def _officer(tx: AsyncConnection, asked: Asked) -> Plan:
    _check_manages(asked)
    row, wish = asked.row, asked.wish
    if wish.to_manager_id is None:
        raise invalid_field("ownership_request.to_manager", "is required of OFFICER")
    if not wish.loan_id:
        raise invalid_field("ownership_request.loan", "is required of OFFICER")
    sources = await claims.sources_at(tx, asked.ownership.customer_id, row.branch_id)
    if sources.loan_id != wish.loan_id:
        message = "loan: is not the live loan that speaks for the branch"
        raise Refused(Refusal.PRECONDITION, "LOAN_UNKNOWN", message, {"loan": wish.loan_id, "field": "loan"})
    await _check_unlocked(tx, asked)
    _check_changes(wish.to_manager_id, row.manager_id)
    return Plan(row.branch_id, row.manager_id, row.branch_id, wish.to_manager_id)


async def _lock(tx: AsyncConnection, asked: Asked) -> Plan:
    _check_manages(asked)
    months = (await requests.policy(tx)).lock_months
    last = months_after(asked.day, months)
    if asked.wish.end_date is None or not asked.day < asked.wish.end_date <= last:
        words = f"must be after {asked.day} and at most {months} months later, {last}"
        raise invalid_field("ownership_request.end_date", words)
    await _check_unlocked(tx, asked)
    leads = _primary_of(asked)
    if leads.branch_id != asked.row.branch_id:
        holds = await standing_holds(tx, asked, leads.branch_id)
        _refuse_locks(holds)
    to_manager_id = asked.wish.to_manager_id or asked.row.manager_id
    return Plan(leads.branch_id, leads.manager_id, asked.row.branch_id, to_manager_id)


async def _unlock(tx: AsyncConnection, asked: Asked) -> Plan:
    _check_manages(asked)
    holds = await standing_holds(tx, asked, asked.row.branch_id)
    if not any(hold.kind is HoldKind.LOCK for hold in holds):
        raise Refused(Refusal.PRECONDITION, "NOT_LOCKED", "the customer is not locked to the branch")
    row = asked.row
    return Plan(row.branch_id, row.manager_id, row.branch_id, row.manager_id)


async def _reclaim(tx: AsyncConnection, asked: Asked) -> Plan:
    row, wish = asked.row, asked.wish
    if not asked.is_head:
        message = "only the head of the branch may take a customer back"
        raise Refused(Refusal.FORBIDDEN, "NOT_HEAD", message, {"branch": row.branch_id})
    if row.manager_id is None:
        raise Refused(Refusal.PRECONDITION, "NOT_MANAGED", "the row has no manager to take the customer back from")
    if row.manager_id != wish.seen_manager_id:
        raise Refused(Refusal.CONFLICT, "ETAG_OLD", "somebody changed the ownership: read it again", {"etag": ""})
    if wish.open_task is not None:
        message = "the manager has an open task for the customer"
        raise Refused(Refusal.PRECONDITION, "TASK_OPEN", message, {"task": wish.open_task})
    await _check_unlocked(tx, asked)
    return Plan(row.branch_id, row.manager_id, row.branch_id, None)


_PLANS: Mapping[Kind, Callable[[AsyncConnection, Asked], Awaitable[Plan]]] = MappingProxyType(
    {
        Kind.PUSH: _push,
        Kind.LOCK: _lock,
        Kind.UNLOCK: _unlock,
        Kind.OFFICER: _officer,
        Kind.RECLAIM: _reclaim,
    }
)


def _check_manages(asked: Asked) -> None:
    if not (asked.is_head or asked.row.manager_id == asked.caller.staff_id):
        message = "only the customer's manager, or the head of his branch, may ask for this"
        raise Refused(Refusal.FORBIDDEN, "NOT_MANAGER", message, {"branch": asked.row.branch_id})


async def _check_unlocked(tx: AsyncConnection, asked: Asked) -> None:
    """A lock holds the branch and its manager; a protection refuses nothing of what the branch itself asks for."""
    _refuse_locks(await standing_holds(tx, asked, asked.row.branch_id))


def _refuse_locks(holds: list[Hold]) -> None:
    held = next((hold for hold in holds if hold.kind is not HoldKind.PROTECTION), None)
    if held is not None:
        told = {"kind": held.kind.value}
        if held.until_date is not None:
            told["until_date"] = held.until_date.isoformat()
        raise Refused(Refusal.PRECONDITION, "PROTECTED", "the customer is locked or being transferred", told)


def _check_changes(to_manager_id: str | None, manager_id: str | None) -> None:
    if to_manager_id == manager_id:
        message = "to_manager: has the customer already"
        raise Refused(Refusal.PRECONDITION, "NOTHING_TO_CHANGE", message, {"field": "to_manager"})


def _primary_of(asked: Asked) -> Owner:
    leads = primary(asked.ownership.owners)
    assert leads is not None, "whoever is live has a primary branch"
    return leads


def _unfit(message: str, branch_id: str) -> Refused:
    return Refused(Refusal.PRECONDITION, "BRANCH_UNFIT", message, {"branch": branch_id, "field": "to_branch"})
