"""Whom a pull is about, and whether it can come to anything: its maker is told neither (`domain.requests`)."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from policy.masking import mask_id_number
from services.assignment_svc.domain.allocation import primary
from services.assignment_svc.domain.holds import is_active
from services.assignment_svc.domain.ownership import State
from services.assignment_svc.store import accounts, allocation, ownerships, protections, requests
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.usecases.request_plans import Plan, Wish

_NOBODY = "nobody of this name and number has business here"
_NOT_NOW = "the customer cannot be asked for now"


@dataclass(frozen=True)
class FoundPull:
    """Between whom a pull is, and of whom; without an ownership the giver is not asked, and `dead_end` says why."""

    plan: Plan
    ownership: Ownership | None
    dead_end: str = ""


async def plan_of_pull(
    tx: AsyncConnection, caller: Caller, wish: Wish, to_manager_id: str | None, day: date
) -> FoundPull:
    """Looks whom a pull is about; its customer, if there is one, is locked.

    The giver's side is told of one that the rules refuse; of a frozen customer it is not told why.
    """
    found = await ownerships.of_customers(tx, [wish.customer_id]) if wish.customer_id else []
    leads = primary(found[0].owners) if found else None
    if leads is None or wish.customer_id in await accounts.conflicts(tx, caller.staff_id):
        return FoundPull(Plan("", None, caller.branch_id, to_manager_id), None, _NOBODY)
    plan = Plan(leads.branch_id, leads.manager_id, caller.branch_id, to_manager_id)
    policy = await allocation.policy_in_force(tx, day)
    holds = await protections.holds_at(tx, wish.customer_id, leads.branch_id)
    is_taken = (leads.branch_id, leads.manager_id) == (caller.branch_id, to_manager_id)
    if (
        found[0].state is not State.LIVE
        or is_taken
        or any(is_active(hold, day, policy) for hold in holds)
        or await requests.pending_of(tx, wish.customer_id) is not None
    ):
        return FoundPull(plan, None, _NOT_NOW)
    return FoundPull(plan, found[0])


def masked(id_number: str) -> str:
    """What is kept of the number that was asked for."""
    return mask_id_number(id_number)
