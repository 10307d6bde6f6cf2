"""Makes, changes and ends staff: one, or many at once, today or on a later day.

Tokens carry branch and roles: whoever loses one of them has his sessions ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation, invalid_field, not_found
from services.assignment_svc.domain.org_changes import Fault, Known, Plan, Subject, staff_faults
from services.assignment_svc.domain.organisation import Staff
from services.assignment_svc.store import org, org_changes, org_writes, sessions
from services.assignment_svc.store.org_changes import PlanDraft, Telling
from services.assignment_svc.usecases.change_branches import Edit
from services.assignment_svc.usecases.org_changes import check_etag, refuse, when


@dataclass(frozen=True)
class BadLine:
    """A line of a batch that is wrong."""

    index: int
    fault: Fault


async def create_staff(tx: AsyncConnection, telling: Telling, staff: Staff) -> Staff:
    """Makes a staff member. An id is never used twice: history speaks of whom it meant."""
    await org_changes.lock_org(tx)
    if await org_writes.are_staff_ids_used(tx, [staff.staff_id]):
        given = {"id": staff.staff_id}
        raise Refused(Kind.ALREADY_EXISTS, "ORG_ID_TAKEN", "a staff member of this id exists, or existed", given)
    today = await org_changes.today(tx)
    refuse(staff_faults(staff, await _known(tx, [staff]), today), "staff.")
    await org_changes.tell(tx, telling)
    await org_writes.add_staff(tx, staff)
    return await _stored(tx, staff.staff_id)


async def update_staff(tx: AsyncConnection, telling: Telling, edit: Edit) -> tuple[Staff, Plan | None]:
    """Changes a staff member, or plans to: what is planned is held against today's staff, and again on its day."""
    await org_changes.lock_org(tx)
    at = await when(tx, edit.effective_date)
    before = await _locked(tx, edit.subject_id)
    check_etag(edit.etag, before.etag)
    after = replace(before, **edit.changes)
    refuse(own_faults(telling.actor, before, after), "staff.")
    refuse(staff_faults(after, await _known(tx, [after]), at.day), "staff.")
    await org_changes.tell(tx, telling)
    if at.is_later:
        draft = PlanDraft(Subject.STAFF, before.staff_id, edit.changes, at.day)
        return before, await org_changes.add_plan(tx, draft, telling)
    await _store(tx, [(before, after)], at.today)
    return await _stored(tx, before.staff_id), None


async def apply_to_staff(tx: AsyncConnection, plan: Plan) -> None:
    """Makes a planned change; refuses as `update_staff` would on its day."""
    before = await _locked(tx, plan.subject_id)
    after = replace(before, **plan.changes)
    refuse(staff_faults(after, await _known(tx, [after]), plan.effective_date), "staff.")
    await _store(tx, [(before, after)], await org_changes.today(tx))


@dataclass(frozen=True)
class Leaving:
    """Who goes, what the caller saw of him, his last day (None: yesterday), and who takes over (None: as it is)."""

    staff_id: str
    etag: str
    last_date: date | None
    successor_id: str | None


async def deactivate_staff(tx: AsyncConnection, telling: Telling, leaving: Leaving) -> tuple[Staff, int]:
    """Gives a staff member his last day; tells how many sessions were ended, all of them if the day has passed."""
    await org_changes.lock_org(tx)
    before = await _locked(tx, leaving.staff_id)
    if leaving.staff_id == telling.actor:
        raise Refused(Kind.FORBIDDEN, "OWN_ACCOUNT", "nobody ends his own work here")
    check_etag(leaving.etag, before.etag)
    today = await org_changes.today(tx)
    yesterday = today - timedelta(days=1)
    last = leaving.last_date or yesterday
    if last < yesterday:
        raise invalid_field("active_until_date", f"must not be before yesterday, {yesterday.isoformat()}")
    # Who has not begun yet never does.
    first = min(before.active_from_date, last) if before.active_from_date else None
    successor_id = leaving.successor_id or before.successor_id
    after = replace(before, active_from_date=first, active_until_date=last, successor_id=successor_id)
    refuse([fault for fault in staff_faults(after, await _known(tx, [after]), today) if fault.field == "successor"])
    await org_changes.tell(tx, telling)
    ended = await _store(tx, [(before, after)], today)
    return await _stored(tx, leaving.staff_id), ended


async def batch_faults(tx: AsyncConnection, actor: str, edits: Sequence[Edit]) -> list[BadLine]:
    """Every line of a batch that is wrong; nobody else changes staff until `tx` ends."""
    await org_changes.lock_org(tx)
    return (await _batch(tx, actor, edits))[1]


async def batch_update_staff(tx: AsyncConnection, telling: Telling, edits: Sequence[Edit]) -> list[Staff]:
    """Changes all of them, or refuses with the first 50 lines that are wrong."""
    await org_changes.lock_org(tx)
    changes, bad = await _batch(tx, telling.actor, edits)
    if bad:
        violations = [Violation(f"updates[{one.index}].{one.fault.field}", one.fault.description) for one in bad]
        lines = str(len({one.index for one in bad}))
        message = f"{violations[0].field}: {violations[0].description} ({lines} bad lines)"
        raise Refused(Kind.INVALID, "BATCH_REFUSED", message, {"bad_lines": lines}, violations)
    await org_changes.tell(tx, telling)
    # A login may go from one of them to another: each is free before somebody takes it.
    await _store(tx, changes, await org_changes.today(tx))
    stored = await org.staff_by_id(tx, [edit.subject_id for edit in edits])
    return [stored[edit.subject_id] for edit in edits]


async def _batch(
    tx: AsyncConnection, actor: str, edits: Sequence[Edit]
) -> tuple[list[tuple[Staff, Staff]], list[BadLine]]:
    today = await org_changes.today(tx)
    there = await org_writes.lock_staff(tx, [edit.subject_id for edit in edits])
    afterwards: dict[str, Staff] = {}
    bad: list[BadLine] = []
    for index, edit in enumerate(edits):
        before = there.get(edit.subject_id)
        if before is None:
            bad.append(BadLine(index, Fault("staff.name", "NOT_FOUND", "names nobody who exists")))
        elif edit.subject_id in afterwards:
            bad.append(BadLine(index, Fault("staff.name", "FIELD_INVALID", "is in the batch already")))
        else:
            if edit.etag != before.etag:
                bad.append(BadLine(index, Fault("staff.etag", "ETAG_OLD", "somebody changed him: read him again")))
            afterwards[edit.subject_id] = replace(before, **edit.changes)
    known = await _known(tx, list(afterwards.values()))
    places = {edit.subject_id: index for index, edit in reversed(list(enumerate(edits)))}
    for staff_id, after in afterwards.items():
        faults = own_faults(actor, there[staff_id], after) + staff_faults(after, known, today)
        bad += [BadLine(places[staff_id], replace(fault, field=f"staff.{fault.field}")) for fault in faults]
    return [(there[staff_id], after) for staff_id, after in afterwards.items()], sorted(bad, key=lambda one: one.index)


def own_faults(actor: str, before: Staff, after: Staff) -> list[Fault]:
    """Nobody gives himself roles, nor takes them, nor moves the days on which he may work."""
    if actor != before.staff_id:
        return []
    fields = (("roles", "roles"), ("branch_id", "branch"), ("active_from_date",) * 2, ("active_until_date",) * 2)
    return [
        Fault(field, "OWN_ACCOUNT", "is not changed by oneself")
        for name, field in fields
        if getattr(before, name) != getattr(after, name)
    ]


async def _known(tx: AsyncConnection, afterwards: Sequence[Staff]) -> Known:
    """What the staff are held against as they shall be: logins count as they are after all changes."""
    logins = {staff.staff_id: staff.login for staff in afterwards}
    wanted = [login for login in logins.values() if login is not None]
    # Who keeps his login goes before whoever wants it.
    owners = {
        login: staff_id
        for login, staff_id in (await org_writes.login_owners(tx, wanted)).items()
        if logins.get(staff_id, login) == login
    }
    for staff in afterwards:
        if staff.login is not None:
            owners.setdefault(staff.login, staff.staff_id)
    successors = [staff.successor_id for staff in afterwards if staff.successor_id is not None]
    branches = await org.branches_by_id(tx, [staff.branch_id for staff in afterwards])
    return Known(branches, frozenset(await org.staff_by_id(tx, successors)), owners)


async def _store(tx: AsyncConnection, changes: Sequence[tuple[Staff, Staff]], today: date) -> int:
    """Stores who is otherwise than before; tells how many sessions of those who lost something were ended."""
    changed = [(before, after) for before, after in changes if before != after]
    await org_writes.change_staff(tx, changed)
    lost = [
        before.staff_id
        for before, after in changed
        if before.branch_id != after.branch_id
        or before.login != after.login
        or set(before.roles) != set(after.roles)
        or not after.is_active(today)
    ]
    return await sessions.end_sessions(tx, lost) if lost else 0


async def _locked(tx: AsyncConnection, staff_id: str) -> Staff:
    found = await org_writes.lock_staff(tx, [staff_id])
    if staff_id not in found:
        raise not_found()
    return found[staff_id]


async def _stored(tx: AsyncConnection, staff_id: str) -> Staff:
    stored = await org.get_staff(tx, staff_id)
    assert stored is not None, "it was written in this transaction"
    return stored
