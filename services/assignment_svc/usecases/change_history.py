"""Tells what people changed of ownership, and undoes it while nobody acted on it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller
from chassis.errors import Kind, Refused, not_found
from chassis.sql.audit import audit_reads
from policy.visibility import Level
from services.assignment_svc.domain.changes import OF_MANAGERS, UNDOABLE, Change, ChangeKind, Inputs, KeptChange
from services.assignment_svc.domain.ownership import Owner
from services.assignment_svc.store import claims, ownerships
from services.assignment_svc.store import manual_changes as store
from services.assignment_svc.usecases import manual_changes
from services.assignment_svc.usecases.heads import acts_as_head
from services.assignment_svc.usecases.manual_changes import Changed, Locked, Who
from services.assignment_svc.usecases.name_managers import lock_as_seen
from services.assignment_svc.usecases.read_ownership import Reader, level_of, own_branch_ids, scope_of_caller


async def list_changes(
    conn: AsyncConnection, customer_id: str, reader: Reader, after: tuple[datetime, str] | None, size: int
) -> tuple[list[KeptChange], bool]:
    """A page of a customer's changes as far as the caller sees them, the youngest first, and whether there are more."""
    level, own = await _sight(conn, customer_id, reader.caller)
    await audit_reads(conn, reader.entry, [customer_id])
    if level is Level.EXISTENCE:
        return [], False
    of = own if level is Level.SECONDARY else None
    found = await store.list_changes(conn, customer_id, of, after, size + 1)
    return [_shown(kept, level) for kept in found[:size]], len(found) > size


async def get_change(conn: AsyncConnection, customer_id: str, change_id: str, reader: Reader) -> KeptChange:
    """One change; refuses as for an absent one if the caller does not see it."""
    level, own = await _sight(conn, customer_id, reader.caller)
    found = await store.get_change(conn, customer_id, change_id)
    if found is None or not _sees(found, level, own):
        raise not_found()
    await audit_reads(conn, reader.entry, [customer_id])
    return _shown(found, level)


async def check_sees_change(conn: AsyncConnection, caller: Caller, customer_id: str, change_id: str) -> None:
    """Refuses whoever can neither see a change nor has made it, as if there were none."""
    level, own = await _sight(conn, customer_id, caller)
    found = await store.get_change(conn, customer_id, change_id)
    if found is None or not (_sees(found, level, own) or found.change.actor == caller.staff_id):
        raise not_found()


async def undo(tx: AsyncConnection, caller: Caller, who: Who, named: tuple[str, str], reason: str) -> Changed:
    """Puts back what a change changed, by whoever may have made it and while nobody acted on it since.

    `named` are the ids of the customer and of the change. Whoever gets the customer back must be fit and have room.
    """
    customer_id, change_id = named
    locked = await lock_as_seen(tx, caller, customer_id)
    await check_sees_change(tx, caller, customer_id, change_id)
    kept = await store.get_change(tx, customer_id, change_id)
    assert kept is not None, "it was just seen"
    await _check_may_undo(tx, caller, kept.change, locked)
    await _check_undoable(tx, kept, locked)
    manual_changes.check_changeable(locked.ownership)
    row = manual_changes.row_at(locked.ownership, kept.change.branch_id)
    for staff_id in _given_back(kept.change, row):
        await manual_changes.check_manager(tx, locked, row.branch_id, staff_id, row.manager_id == staff_id)
    before: Inputs = (await store.inputs_of(tx, [customer_id]))[customer_id]
    await store.put_back_inputs(tx, customer_id, kept.change.before)
    await manual_changes.allocated(tx, who, locked)
    undoing = Change(
        customer_id,
        ChangeKind.UNDO,
        row.branch_id,
        reason,
        who.actor,
        before,
        from_manager_id=kept.change.to_manager_id,
        to_manager_id=kept.change.from_manager_id,
    )
    changed = await manual_changes.kept(tx, who, undoing)
    assert changed.change_id is not None, "it was just recorded"
    await store.set_undone(tx, customer_id, change_id, changed.change_id)
    return changed


async def _sight(conn: AsyncConnection, customer_id: str, caller: Caller) -> tuple[Level, list[str]]:
    found = await ownerships.of_customers(conn, [customer_id])
    scope = await scope_of_caller(conn, caller)
    level = level_of(found[0], scope) if found else Level.NONE
    if level is Level.NONE:
        raise not_found()
    return level, own_branch_ids(found[0], scope)


def _sees(kept: KeptChange, level: Level, own: Sequence[str]) -> bool:
    return level > Level.SECONDARY or (level is Level.SECONDARY and kept.change.branch_id in own)


def _shown(kept: KeptChange, level: Level) -> KeptChange:
    """Where the primary branch was and went is for the primary side."""
    if level > Level.SECONDARY:
        return kept
    return replace(kept, change=replace(kept.change, from_branch_id=None, to_branch_id=None))


def _given_back(change: Change, row: Owner) -> list[str]:
    """Whom people had made manager before a change, and who is not now."""
    named = change.before["named"].get(row.branch_id)
    stood_in = {override["manager_id"] for override in change.before["overrides"]} & {change.from_manager_id}
    return sorted({named} - {None, row.named_manager_id} | stood_in - {row.manager_id})


async def _check_may_undo(tx: AsyncConnection, caller: Caller, change: Change, locked: Locked) -> None:
    if change.kind in OF_MANAGERS and change.actor == caller.staff_id and change.branch_id == caller.branch_id:
        return
    if not await acts_as_head(tx, caller, change.branch_id, locked.day):
        message = "only who may have made the change may undo it"
        raise Refused(Kind.FORBIDDEN, "NOT_HEAD", message, {"branch": change.branch_id})


async def _check_undoable(tx: AsyncConnection, kept: KeptChange, locked: Locked) -> None:
    if kept.change.kind not in UNDOABLE:
        raise _not_undoable("KIND", "what several approved is undone by a new request")
    if kept.undone_by is not None:
        raise _not_undoable("UNDONE", "it was undone already")
    if not await store.is_young(tx, kept, (await claims.claim_policy(tx)).undo_hours):
        raise _not_undoable("AGE", "it is too old")
    if kept.rev_after != locked.ownership.rev:
        raise _not_undoable("ACTED_ON", "the ownership changed since")


def _not_undoable(cause: str, message: str) -> Refused:
    return Refused(Kind.PRECONDITION, "NOT_UNDOABLE", message, {"cause": cause})
