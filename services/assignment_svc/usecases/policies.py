"""Versions of the policy of allocation: proposed by one, approved by another, withdrawn before they start."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.domain.policies import PolicyState, PolicyVersion, faults
from services.assignment_svc.store import allocation, policies


@dataclass(frozen=True)
class Proposal:
    """The parameters that somebody wants, from when on, and why; their version is not known yet."""

    policy: Policy
    start_date: date
    reason: str


def check_parameters(policy: Policy, path: str) -> None:
    """Refuses parameters that are out of range or contradict one another, each field by its path."""
    found = faults(policy)
    if found:
        raise invalid_fields([Violation(f"{path}.{fault.field}", fault.problem) for fault in found])


async def propose(tx: AsyncConnection, proposal: Proposal, actor: str) -> PolicyVersion:
    """Keeps a proposal; refuses one that starts where it could not."""
    await policies.lock_policies(tx)
    await _check_start(tx, proposal.start_date)
    version = await policies.add(tx, proposal.policy, proposal.start_date, proposal.reason, actor)
    return await get(tx, version)


async def approve(tx: AsyncConnection, version: int, actor: str) -> PolicyVersion:
    """Lets a proposal count from its start on.

    Until `tx` ends no facts can come in whose night it would miss.
    """
    await policies.lock_policies(tx)
    found = await get(tx, version)
    if found.state is not PolicyState.PROPOSED:
        given = {"state": found.state.value}
        raise Refused(Kind.PRECONDITION, "POLICY_NOT_PROPOSED", "the policy does not wait for approval", given)
    if found.creator == actor:
        raise Refused(Kind.FORBIDDEN, "POLICY_OWN", "somebody else than its creator approves a policy")
    assert found.start_date is not None, "only the first policy has no start, and it is approved"
    await _check_start(tx, found.start_date)
    await policies.approve(tx, version, actor)
    return await get(tx, version)


async def withdraw(tx: AsyncConnection, version: int, actor: str, reason: str) -> PolicyVersion:
    """Takes back a version that no facts have reached yet."""
    await policies.lock_policies(tx)
    found = await get(tx, version)
    known = (await allocation.hold_progress(tx)).known_date
    has_started = found.start_date is None or (known is not None and found.start_date <= known)
    if found.state is PolicyState.WITHDRAWN or (found.state is PolicyState.APPROVED and has_started):
        message = "the policy has started, or was withdrawn"
        raise Refused(Kind.PRECONDITION, "POLICY_NOT_WITHDRAWABLE", message, {"state": found.state.value})
    await policies.withdraw(tx, version, actor, reason)
    return await get(tx, version)


async def get(conn: AsyncConnection, version: int) -> PolicyVersion:
    """One version; refuses what is none."""
    found = await policies.get(conn, version)
    if found is None:
        raise not_found()
    return found


async def _check_start(tx: AsyncConnection, start_date: date) -> None:
    """Refuses a start by which somebody may have been decided otherwise already, and one that is taken."""
    known = (await allocation.hold_progress(tx)).known_date
    if known is not None and start_date <= known:
        given = {"last_business_date": known.isoformat()}
        raise Refused(Kind.PRECONDITION, "POLICY_START_PAST", f"the start must be after {known.isoformat()}", given)
    taken = await policies.starting_on(tx, start_date)
    if taken is not None:
        given = {"ownership_policy": f"ownershipPolicies/{taken}"}
        message = f"policy {taken} starts on {start_date.isoformat()}: withdraw it first"
        raise Refused(Kind.PRECONDITION, "POLICY_START_TAKEN", message, given)
