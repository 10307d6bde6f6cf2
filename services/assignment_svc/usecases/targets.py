"""Sets targets, all lines or none, and tells them to whom they concern."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import invalid_fields, not_found
from chassis.sql.audit import audit
from services.assignment_svc.domain.targets import Known, Line, line_faults
from services.assignment_svc.store import org, score_cards, targets
from services.assignment_svc.store.targets import Asked, StoredTarget
from services.assignment_svc.usecases.read_ownership import Reader
from services.assignment_svc.usecases.score_cards import sight_of


async def set_targets(tx: AsyncConnection, lines: Sequence[Line], reader: Reader) -> list[StoredTarget]:
    """Stores every line as a new version. Refuses with every bad line named; a branch beyond reach is unknown."""
    caller = reader.caller
    reached = await org.subtree(tx, caller.branch_id) if Role.BRANCH_HEAD in caller.roles else frozenset[str]()
    own, below = reached, reached - {caller.branch_id}
    if Role.ADMIN in caller.roles:
        own = below = frozenset(await org.parents(tx))
    staff = await targets.staff_of(tx, sorted({line.branch_id for line in lines}))
    frozen = await score_cards.frozen_months(tx)
    faults = line_faults(lines, Known(below, own, staff, caller.staff_id, frozen))
    if faults:
        raise invalid_fields(faults, "TARGETS_INVALID")
    stored = await targets.add(tx, lines, caller.staff_id)
    await audit(tx, [replace(reader.entry, detail={"targets": str(len(stored))})])
    return stored


async def get_target(conn: AsyncConnection, target_id: str, caller: Caller) -> StoredTarget:
    """One version; the same refusal if there is none and if the caller may not see it."""
    found = await targets.get(conn, target_id)
    branch_id = found.line.branch_id if found else ""
    everything = await _sees_all(conn, branch_id, caller)
    concerns = found is not None and found.line.staff_id in {None, caller.staff_id}
    if found is None or not (everything or (concerns and await _sees_branch(conn, branch_id, caller))):
        raise not_found()
    return found


async def list_targets(
    conn: AsyncConnection, asked: Asked, caller: Caller, before: tuple[datetime, str] | None, limit: int
) -> list[StoredTarget]:
    """The targets of a branch and its managers, all versions, the youngest first, as far as the caller sees them."""
    everything = await _sees_all(conn, asked.branch_id, caller)
    if not everything and not await _sees_branch(conn, asked.branch_id, caller):
        raise not_found()
    return await targets.listed(conn, replace(asked, opens_all=everything), before, limit)


async def _sees_all(conn: AsyncConnection, branch_id: str, caller: Caller) -> bool:
    sight = await sight_of(conn, caller)
    return Role.ADMIN in caller.roles or branch_id in sight.headed


async def _sees_branch(conn: AsyncConnection, branch_id: str, caller: Caller) -> bool:
    sight = await sight_of(conn, caller)
    return branch_id == sight.own
