"""Key marks: who sees them, who proposes one by hand, and who decides on it (four eyes)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from services.customer_svc.domain.key_marks import (
    STEPS,
    KeyMark,
    KeyMarkChange,
    Proposal,
    ProposalState,
    Step,
)
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import customers, key_marks, key_nights, key_proposals, owner_rows, tag_sync
from services.customer_svc.store.key_marks import Happened
from services.customer_svc.usecases.must_see import must_see, note_reads

FIELD = "key_mark"
_HEAD = "BRANCH_HEAD"
# Whatever else a step needs, this is who takes it: any head who may approve, or who proposed it.
_DECIDED_BY_HEAD = frozenset({Step.APPROVE, Step.REFUSE, Step.END})
_FOUR_EYES = frozenset({Step.APPROVE, Step.REFUSE})


@dataclass(frozen=True)
class Decision:
    """What somebody wants to do to a proposal, and why."""

    customer_id: str
    proposal_id: str
    step: Step
    reason: str


async def get_key_mark(conn: AsyncConnection, reading: Reading, customer_id: str) -> KeyMark:
    """A customer's key mark, also of one who is no key customer."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    found = await key_marks.read(conn, customer_id)
    if found is None:
        raise not_found()
    await note_reads(conn, reading, [customer_id])
    return found


async def list_changes(
    conn: AsyncConnection, reading: Reading, customer_id: str, before: int, limit: int
) -> Sequence[KeyMarkChange]:
    """The changes of a customer's mark, the youngest first: a page, and one more if there is one."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    return await key_marks.changes(conn, customer_id, before, limit + 1)


async def get_proposal(conn: AsyncConnection, reading: Reading, customer_id: str, proposal_id: str) -> Proposal:
    """One proposal of a customer."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    found = await key_proposals.get(conn, customer_id, proposal_id)
    if found is None:
        raise not_found()
    await note_reads(conn, reading, [customer_id])
    return found


async def list_proposals(
    conn: AsyncConnection, reading: Reading, customer_id: str, before: tuple[datetime, str], limit: int
) -> Sequence[Proposal]:
    """A customer's proposals, the youngest first: a page, and one more if there is one."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    return await key_proposals.page(conn, customer_id, before, limit + 1)


async def list_approvals(
    conn: AsyncConnection, reading: Reading, after: tuple[datetime, str], limit: int
) -> Sequence[Proposal]:
    """What waits for the viewer, the oldest first: a page, and one more if there is one; nothing for who is no head."""
    if _HEAD not in reading.viewer.roles:
        return []
    head = (reading.viewer.staff_id, reading.viewer.branch_id)
    found = await key_proposals.approvals(conn, head, await customers.business_day(conn), after, limit + 1)
    await note_reads(conn, reading, [proposal.customer_id for proposal in found[:limit]])
    return found


async def propose(tx: AsyncConnection, viewer: Viewer, customer_id: str, reason: str, end_date: date) -> Proposal:
    """Proposes a mark by hand; one at a time. Nobody proposes one of himself."""
    await must_see(tx, viewer, customer_id, FIELD)
    _check_other(viewer, customer_id)
    await tag_sync.lock_customer(tx, customer_id)
    day = await customers.business_day(tx)
    most = day + timedelta(days=(await key_nights.policy_on(tx, day)).manual_days_max)
    if not day <= end_date <= most:
        field = "key_mark_proposal.end_date"
        raise invalid_field(field, f"must lie between {day.isoformat()} and {most.isoformat()}")
    waiting = await key_proposals.in_state(tx, customer_id, ProposalState.PROPOSED)
    if waiting is not None and day <= waiting.end_date:
        given = {"proposal": waiting.proposal_id}
        raise Refused(Kind.ALREADY_EXISTS, "PROPOSAL_PENDING", "another proposal waits for approval", given)
    if waiting is not None:
        await _move(tx, waiting, Decision(customer_id, waiting.proposal_id, Step.PASS, ""), "expiry", day)
    made = await key_proposals.add(tx, customer_id, reason, end_date, viewer.staff_id)
    happened = Happened(customer_id, "PROPOSED", viewer.staff_id, reason, day, made.proposal_id)
    await key_marks.add_change(tx, happened)
    return made


async def decide(tx: AsyncConnection, viewer: Viewer, decision: Decision) -> Proposal:
    """Approves, refuses, takes back or ends a mark by hand."""
    await must_see(tx, viewer, decision.customer_id, FIELD)
    await tag_sync.lock_customer(tx, decision.customer_id)
    proposal = await key_proposals.get(tx, decision.customer_id, decision.proposal_id)
    if proposal is None:
        raise not_found()
    await _check_decider(tx, viewer, proposal, decision.step)
    day = await customers.business_day(tx)
    if (proposal.state, decision.step) not in STEPS or proposal.end_date < day:
        state = proposal.state if (proposal.state, decision.step) not in STEPS else ProposalState.LAPSED
        message = f"the proposal is {state.lower()}"
        raise Refused(Kind.PRECONDITION, "PROPOSAL_STATE", message, {"state": state})
    if decision.step is Step.APPROVE:
        await _replace_earlier(tx, viewer, decision, day)
    return await _move(tx, proposal, decision, viewer.staff_id, day)


async def _replace_earlier(tx: AsyncConnection, viewer: Viewer, decision: Decision, day: date) -> None:
    earlier = await key_proposals.in_state(tx, decision.customer_id, ProposalState.APPROVED)
    if earlier is not None:
        replaced = Decision(decision.customer_id, earlier.proposal_id, Step.REPLACE, decision.reason)
        await _move(tx, earlier, replaced, viewer.staff_id, day)


async def _move(tx: AsyncConnection, proposal: Proposal, decision: Decision, actor: str, day: date) -> Proposal:
    """Takes a step that is possible, and changes the mark with it."""
    state = STEPS[proposal.state, decision.step]
    moved = await key_proposals.move(tx, proposal, state, actor, decision.reason)
    happened = Happened(proposal.customer_id, state, actor, decision.reason, day, proposal.proposal_id)
    if state is ProposalState.APPROVED:
        await key_marks.set_manual(tx, happened, proposal.end_date)
    elif state in {ProposalState.ENDED, ProposalState.EXPIRED}:
        await key_marks.set_manual(tx, happened, None)
    else:
        await key_marks.add_change(tx, happened)
    return moved


async def _check_decider(tx: AsyncConnection, viewer: Viewer, proposal: Proposal, step: Step) -> None:
    if step not in _DECIDED_BY_HEAD:
        if proposal.proposer != viewer.staff_id:
            raise Refused(Kind.FORBIDDEN, "FOUR_EYES", "only who proposed it takes it back")
        return
    _check_other(viewer, proposal.customer_id)
    primary = await owner_rows.primary_of(tx, proposal.customer_id)
    heading = primary is not None and viewer.branch_id in {primary.branch_id, primary.parent_id}
    if _HEAD not in viewer.roles or not heading:
        message = "only the head of the primary branch, or of the one above it, decides"
        raise Refused(Kind.FORBIDDEN, "NOT_APPROVER", message)
    if step in _FOUR_EYES and proposal.proposer == viewer.staff_id:
        raise Refused(Kind.FORBIDDEN, "FOUR_EYES", "nobody decides what he proposed himself")


def _check_other(viewer: Viewer, customer_id: str) -> None:
    if viewer.staff_id == customer_id:
        raise Refused(Kind.FORBIDDEN, "FOUR_EYES", "nobody proposes or decides a mark of himself")
