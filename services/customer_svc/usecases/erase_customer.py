"""Erasures: asked for by a head of the primary side, decided by somebody else at head office, called off, shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from chassis.sql.audit import AuditEntry, audit
from services.customer_svc.domain.erasure import REASON_LENGTH_MAX, STEPS, Erasure, State, Step, Verdict, verdicts
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import erasures, owner_rows, personal_data, tag_sync
from services.customer_svc.usecases.export_personal_data import check_reference
from services.customer_svc.usecases.must_see import note_reads
from services.customer_svc.usecases.primary_head import must_lead

_UNDECIDED = frozenset({State.REQUESTED, State.APPROVED})


@dataclass(frozen=True)
class Decision:
    """What somebody wants to do to an erasure, and why."""

    customer_id: str
    erasure_id: str
    step: Step
    reason: str


async def foresee(conn: AsyncConnection, customer_ids: Sequence[str]) -> Sequence[Verdict]:
    """What would go of a person now and what would stay, and of how many rows each part is."""
    day = await erasures.today(conn)
    found = verdicts(await erasures.standing(conn, customer_ids, day), await erasures.policy(conn), day)
    counts = await personal_data.count_by_part(conn, customer_ids)
    return [replace(verdict, row_counts=counts[verdict.part]) for verdict in found]


async def try_erasure(conn: AsyncConnection, reading: Reading, customer_id: str, reference: str) -> Sequence[Verdict]:
    """A dry run of `request_erasure`; it is noted as a read."""
    await must_lead(conn, reading.viewer, customer_id)
    check_reference(reference)
    found = await foresee(conn, await personal_data.ids_of(conn, customer_id))
    await note_reads(conn, reading, [customer_id])
    return found


async def request_erasure(tx: AsyncConnection, reading: Reading, customer_id: str, reference: str) -> Erasure:
    """Stores that a person wants to be erased; one request at a time."""
    await must_lead(tx, reading.viewer, customer_id)
    check_reference(reference)
    await tag_sync.lock_customer(tx, customer_id)
    if (pending := await erasures.waiting(tx, customer_id)) is not None:
        message = "another erasure of this customer is under way"
        raise Refused(Kind.ALREADY_EXISTS, "ERASURE_PENDING", message, {"erasure": pending})
    made = await erasures.add(tx, customer_id, reference, reading.viewer.staff_id)
    await audit(tx, [_entry(reading, made, {"reference": reference})])
    return made.with_verdicts(await foresee(tx, await personal_data.ids_of(tx, customer_id)))


async def get_erasure(conn: AsyncConnection, reading: Reading, customer_id: str, erasure_id: str) -> Erasure:
    """One erasure, with what would go now as long as nothing went."""
    if not await is_approver(conn, reading.viewer):
        await must_lead(conn, reading.viewer, customer_id)
    found = await erasures.get(conn, customer_id, erasure_id)
    if found is None:
        raise not_found()
    await note_reads(conn, reading, [customer_id])
    if found.state not in _UNDECIDED:
        return found
    return found.with_verdicts(await foresee(conn, await personal_data.ids_of(conn, customer_id)))


async def list_erasures(
    conn: AsyncConnection, reading: Reading, wanted: tuple[str, State | None], before: tuple[datetime, str], limit: int
) -> Sequence[Erasure]:
    """Erasures of one customer, or of everybody for an empty id; the youngest first: a page, and one more."""
    customer_id, _ = wanted
    if not await is_approver(conn, reading.viewer):
        if not customer_id:
            raise _not_approver()
        await must_lead(conn, reading.viewer, customer_id)
    found = await erasures.page(conn, wanted, before, limit + 1)
    await note_reads(conn, reading, [erasure.customer_id for erasure in found[:limit]])
    return [erasure.with_verdicts(()) for erasure in found]


async def must_decide(conn: AsyncConnection, viewer: Viewer, customer_id: str, step: Step) -> None:
    """Refuses who may not take a step; heads of the primary side may call off, approvers at head office do all."""
    if await is_approver(conn, viewer):
        return
    await must_lead(conn, viewer, customer_id)
    if step is not Step.CANCEL:
        raise _not_approver()


async def decide_erasure(tx: AsyncConnection, reading: Reading, decision: Decision) -> Erasure:
    """Approves, refuses or calls off an erasure; nobody decides what he asked for, or what is to be erased of him."""
    await must_decide(tx, reading.viewer, decision.customer_id, decision.step)
    if len(decision.reason) > REASON_LENGTH_MAX:
        raise invalid_field("reason", f"has more than {REASON_LENGTH_MAX} characters")
    found = await erasures.get(tx, decision.customer_id, decision.erasure_id, lock=True)
    if found is None:
        raise not_found()
    if decision.step is not Step.CANCEL and reading.viewer.staff_id in {found.requester_id, found.customer_id}:
        raise Refused(Kind.FORBIDDEN, "FOUR_EYES", "nobody decides what he asked for himself, or of himself")
    state = STEPS.get((found.state, decision.step))
    if state is None:
        message = f"the erasure is {found.state.lower()}"
        raise Refused(Kind.PRECONDITION, "ERASURE_STATE", message, {"state": found.state.value})
    wait_days = (await erasures.policy(tx)).wait_days
    moved = await erasures.move(tx, found, state, (reading.viewer.staff_id, decision.reason), wait_days)
    await audit(tx, [_entry(reading, moved, {"state": state.value})])
    if state not in _UNDECIDED:
        return moved
    return moved.with_verdicts(await foresee(tx, await personal_data.ids_of(tx, moved.customer_id)))


async def is_approver(conn: AsyncConnection, viewer: Viewer) -> bool:
    """Whether somebody approves erasures: an approver at head office, who need not see the customer."""
    return "APPROVER" in viewer.roles and await owner_rows.is_top(conn, viewer.branch_id)


def _not_approver() -> Refused:
    return Refused(Kind.FORBIDDEN, "NOT_APPROVER", "only an approver at head office does this")


def _entry(reading: Reading, erasure: Erasure, detail: dict[str, str]) -> AuditEntry:
    viewer = reading.viewer
    entry = AuditEntry(viewer.staff_id, viewer.branch_id, reading.request_id, reading.method, erasure.customer_id)
    return replace(entry, detail={"erasure": erasure.erasure_id, **detail})
